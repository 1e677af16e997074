CREATE TABLE rmq_transaction_log (
  id blob NOT NULL PRIMARY KEY,
  outcome text NOT NULL CHECK (outcome IN ('C', 'R', 'O')),
  created_at integer NOT NULL
) WITHOUT ROWID;

CREATE INDEX rmq_transaction_log_created_at ON rmq_transaction_log (created_at);

INSERT INTO rmq_schema (feature, version, compatible_from) VALUES ('transaction-log', 1, 1);
