CREATE TABLE rmq_schema (
  feature text NOT NULL PRIMARY KEY,
  version integer NOT NULL,
  compatible_from integer NOT NULL,
  changed_at integer NOT NULL DEFAULT (CAST(unixepoch('subsec') * 1000 AS integer))
);

CREATE TABLE rmq_lease (
  name text NOT NULL PRIMARY KEY,
  owner text NOT NULL,
  expires_at integer NOT NULL
);

INSERT INTO rmq_schema (feature, version, compatible_from) VALUES ('base', 1, 1);
