CREATE TABLE rmq_transaction_log (
  id binary(16) NOT NULL PRIMARY KEY,
  outcome char(1) CHARACTER SET ascii COLLATE ascii_bin NOT NULL CHECK (outcome IN ('C', 'R', 'O')),
  created_at datetime(6) NOT NULL,
  KEY by_created_at (created_at)
) ENGINE=InnoDB;

INSERT INTO rmq_schema (feature, version, compatible_from) VALUES ('transaction-log', 1, 1);
