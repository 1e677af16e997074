CREATE TABLE rmq_inbox_group (
  id integer PRIMARY KEY,
  name text NOT NULL UNIQUE
);

CREATE TABLE rmq_inbox (
  group_id integer NOT NULL,
  message_key blob NOT NULL,
  lease_until integer,
  epoch integer NOT NULL DEFAULT 0,
  created_at integer NOT NULL,
  PRIMARY KEY (group_id, message_key)
) WITHOUT ROWID;

CREATE INDEX rmq_inbox_created_at ON rmq_inbox (created_at);

INSERT INTO rmq_schema (feature, version, compatible_from) VALUES ('inbox', 1, 1);
