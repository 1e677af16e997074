CREATE TABLE rmq_schema (
  feature varchar(32) PRIMARY KEY,
  version integer NOT NULL,
  compatible_from integer NOT NULL,
  changed_at timestamptz NOT NULL DEFAULT clock_timestamp()
);

CREATE TABLE rmq_lease (
  name varchar(64) PRIMARY KEY,
  owner varchar(64) NOT NULL,
  expires_at timestamptz NOT NULL
);

INSERT INTO rmq_schema (feature, version, compatible_from) VALUES ('base', 1, 1);
