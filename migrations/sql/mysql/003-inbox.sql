CREATE TABLE rmq_inbox_group (
  id int NOT NULL AUTO_INCREMENT PRIMARY KEY,
  name varchar(255) CHARACTER SET ascii COLLATE ascii_bin NOT NULL,
  UNIQUE KEY by_name (name)
) ENGINE=InnoDB;

CREATE TABLE rmq_inbox (
  group_id int NOT NULL,
  message_key binary(16) NOT NULL,
  lease_until datetime(6),
  epoch bigint NOT NULL DEFAULT 0,
  created_at datetime(6) NOT NULL,
  PRIMARY KEY (group_id, message_key),
  KEY by_created_at (created_at)
) ENGINE=InnoDB;

INSERT INTO rmq_schema (feature, version, compatible_from) VALUES ('inbox', 1, 1);
