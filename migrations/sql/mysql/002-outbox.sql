CREATE TABLE rmq_outbox (
  id bigint NOT NULL AUTO_INCREMENT PRIMARY KEY,
  lane smallint NOT NULL,
  message_id binary(16) NOT NULL,
  topic varchar(127) CHARACTER SET ascii COLLATE ascii_bin NOT NULL,
  tag varchar(255) CHARACTER SET utf8mb4 COLLATE utf8mb4_bin,
  ordering_key varchar(255) CHARACTER SET utf8mb4 COLLATE utf8mb4_bin,
  message_keys text CHARACTER SET utf8mb4 COLLATE utf8mb4_bin,
  headers text CHARACTER SET utf8mb4 COLLATE utf8mb4_bin,
  body longblob NOT NULL,
  delay_level smallint,
  deliver_at datetime(6),
  connection varchar(64) CHARACTER SET utf8mb4 COLLATE utf8mb4_bin,
  sequence bigint,
  attempts smallint NOT NULL DEFAULT 0,
  created_at datetime(6) NOT NULL,
  KEY by_lane (lane, id)
) ENGINE=InnoDB;

CREATE TABLE rmq_outbox_lane (
  lane smallint NOT NULL PRIMARY KEY,
  owner varchar(64) CHARACTER SET ascii COLLATE ascii_bin,
  epoch bigint NOT NULL DEFAULT 0,
  expires_at datetime(6) NOT NULL DEFAULT '1970-01-01 00:00:00',
  pending int NOT NULL DEFAULT 0,
  pending_more boolean NOT NULL DEFAULT false,
  oldest_at datetime(6),
  retrying int NOT NULL DEFAULT 0,
  dead int NOT NULL DEFAULT 0
) ENGINE=InnoDB;

CREATE TABLE rmq_outbox_instance (
  id varchar(64) CHARACTER SET ascii COLLATE ascii_bin NOT NULL PRIMARY KEY,
  joined_at datetime(6) NOT NULL,
  expires_at datetime(6) NOT NULL
) ENGINE=InnoDB;

CREATE TABLE rmq_outbox_parked (
  id bigint NOT NULL PRIMARY KEY,
  lane smallint NOT NULL,
  state varchar(8) CHARACTER SET ascii COLLATE ascii_bin NOT NULL CHECK (state IN ('retry', 'behind', 'dead')),
  due_at datetime(6),
  error text CHARACTER SET utf8mb4,
  parked_at datetime(6) NOT NULL,
  message_id binary(16) NOT NULL,
  topic varchar(127) CHARACTER SET ascii COLLATE ascii_bin NOT NULL,
  tag varchar(255) CHARACTER SET utf8mb4 COLLATE utf8mb4_bin,
  ordering_key varchar(255) CHARACTER SET utf8mb4 COLLATE utf8mb4_bin,
  message_keys text CHARACTER SET utf8mb4 COLLATE utf8mb4_bin,
  headers text CHARACTER SET utf8mb4 COLLATE utf8mb4_bin,
  body longblob NOT NULL,
  delay_level smallint,
  deliver_at datetime(6),
  connection varchar(64) CHARACTER SET utf8mb4 COLLATE utf8mb4_bin,
  sequence bigint,
  attempts smallint NOT NULL DEFAULT 0,
  created_at datetime(6) NOT NULL,
  KEY by_due (state, due_at),
  KEY by_key (lane, ordering_key, id)
) ENGINE=InnoDB;

CREATE TABLE rmq_outbox_sequence (
  ordering_key varchar(255) CHARACTER SET utf8mb4 COLLATE utf8mb4_bin NOT NULL PRIMARY KEY,
  sequence bigint NOT NULL
) ENGINE=InnoDB;

CREATE TABLE rmq_outbox_sent (
  id bigint NOT NULL PRIMARY KEY,
  lane smallint NOT NULL,
  message_id binary(16) NOT NULL,
  topic varchar(127) CHARACTER SET ascii COLLATE ascii_bin NOT NULL,
  tag varchar(255) CHARACTER SET utf8mb4 COLLATE utf8mb4_bin,
  ordering_key varchar(255) CHARACTER SET utf8mb4 COLLATE utf8mb4_bin,
  message_keys text CHARACTER SET utf8mb4 COLLATE utf8mb4_bin,
  created_at datetime(6) NOT NULL,
  sent_at datetime(6) NOT NULL,
  KEY by_sent_at (sent_at)
) ENGINE=InnoDB;

INSERT INTO rmq_outbox_lane (lane) VALUES (0), (1), (2), (3), (4), (5), (6), (7), (8), (9), (10), (11), (12), (13), (14), (15), (16), (17), (18), (19), (20), (21), (22), (23), (24), (25), (26), (27), (28), (29), (30), (31), (32), (33), (34), (35), (36), (37), (38), (39), (40), (41), (42), (43), (44), (45), (46), (47), (48), (49), (50), (51), (52), (53), (54), (55), (56), (57), (58), (59), (60), (61), (62), (63);

INSERT INTO rmq_schema (feature, version, compatible_from) VALUES ('outbox', 1, 1);
