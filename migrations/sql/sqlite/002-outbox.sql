CREATE TABLE rmq_outbox (
  id integer PRIMARY KEY AUTOINCREMENT,
  lane integer NOT NULL,
  message_id blob NOT NULL,
  topic text NOT NULL,
  tag text,
  ordering_key text,
  message_keys text,
  headers text,
  body blob NOT NULL,
  delay_level integer,
  deliver_at integer,
  connection text,
  sequence integer,
  attempts integer NOT NULL DEFAULT 0,
  created_at integer NOT NULL
);

CREATE INDEX rmq_outbox_by_lane ON rmq_outbox (lane, id);

CREATE TABLE rmq_outbox_lane (
  lane integer NOT NULL PRIMARY KEY,
  owner text,
  epoch integer NOT NULL DEFAULT 0,
  expires_at integer NOT NULL DEFAULT 0,
  pending integer NOT NULL DEFAULT 0,
  pending_more integer NOT NULL DEFAULT 0,
  oldest_at integer,
  retrying integer NOT NULL DEFAULT 0,
  dead integer NOT NULL DEFAULT 0
);

CREATE TABLE rmq_outbox_instance (
  id text NOT NULL PRIMARY KEY,
  joined_at integer NOT NULL,
  expires_at integer NOT NULL
);

CREATE TABLE rmq_outbox_parked (
  id integer PRIMARY KEY,
  lane integer NOT NULL,
  state text NOT NULL CHECK (state IN ('retry', 'behind', 'dead')),
  due_at integer,
  error text,
  parked_at integer NOT NULL,
  message_id blob NOT NULL,
  topic text NOT NULL,
  tag text,
  ordering_key text,
  message_keys text,
  headers text,
  body blob NOT NULL,
  delay_level integer,
  deliver_at integer,
  connection text,
  sequence integer,
  attempts integer NOT NULL DEFAULT 0,
  created_at integer NOT NULL
);

CREATE INDEX rmq_outbox_parked_due ON rmq_outbox_parked (due_at) WHERE state = 'retry';

CREATE INDEX rmq_outbox_parked_key ON rmq_outbox_parked (lane, ordering_key, id) WHERE ordering_key IS NOT NULL;

CREATE TABLE rmq_outbox_sequence (
  ordering_key text NOT NULL PRIMARY KEY,
  sequence integer NOT NULL
);

CREATE TABLE rmq_outbox_sent (
  id integer PRIMARY KEY,
  lane integer NOT NULL,
  message_id blob NOT NULL,
  topic text NOT NULL,
  tag text,
  ordering_key text,
  message_keys text,
  created_at integer NOT NULL,
  sent_at integer NOT NULL
);

CREATE INDEX rmq_outbox_sent_at ON rmq_outbox_sent (sent_at);

INSERT INTO rmq_outbox_lane (lane) VALUES (0), (1), (2), (3), (4), (5), (6), (7), (8), (9), (10), (11), (12), (13), (14), (15), (16), (17), (18), (19), (20), (21), (22), (23), (24), (25), (26), (27), (28), (29), (30), (31), (32), (33), (34), (35), (36), (37), (38), (39), (40), (41), (42), (43), (44), (45), (46), (47), (48), (49), (50), (51), (52), (53), (54), (55), (56), (57), (58), (59), (60), (61), (62), (63);

INSERT INTO rmq_schema (feature, version, compatible_from) VALUES ('outbox', 1, 1);
