CREATE TABLE rmq_inbox_group (
  id integer GENERATED ALWAYS AS IDENTITY PRIMARY KEY,
  name varchar(255) NOT NULL UNIQUE
);

CREATE TABLE rmq_inbox (
  group_id integer NOT NULL,
  message_key uuid NOT NULL,
  lease_until timestamptz,
  epoch bigint NOT NULL DEFAULT 0,
  created_at timestamptz NOT NULL DEFAULT clock_timestamp(),
  PRIMARY KEY (group_id, message_key)
);

CREATE INDEX rmq_inbox_created_at ON rmq_inbox (created_at);

INSERT INTO rmq_schema (feature, version, compatible_from) VALUES ('inbox', 1, 1);
