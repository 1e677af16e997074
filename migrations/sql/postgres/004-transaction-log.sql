CREATE TABLE rmq_transaction_log (
  id uuid PRIMARY KEY,
  outcome char(1) NOT NULL CHECK (outcome IN ('C', 'R', 'O')),
  created_at timestamptz NOT NULL DEFAULT clock_timestamp()
);

CREATE INDEX rmq_transaction_log_created_at ON rmq_transaction_log (created_at);

INSERT INTO rmq_schema (feature, version, compatible_from) VALUES ('transaction-log', 1, 1);
