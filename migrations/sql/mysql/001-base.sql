CREATE TABLE rmq_schema (
  feature varchar(32) CHARACTER SET ascii COLLATE ascii_bin NOT NULL PRIMARY KEY,
  version int NOT NULL,
  compatible_from int NOT NULL,
  changed_at datetime(6) NOT NULL DEFAULT CURRENT_TIMESTAMP(6)
) ENGINE=InnoDB;

CREATE TABLE rmq_lease (
  name varchar(64) CHARACTER SET ascii COLLATE ascii_bin NOT NULL PRIMARY KEY,
  owner varchar(64) CHARACTER SET ascii COLLATE ascii_bin NOT NULL,
  expires_at datetime(6) NOT NULL
) ENGINE=InnoDB;

INSERT INTO rmq_schema (feature, version, compatible_from) VALUES ('base', 1, 1);
