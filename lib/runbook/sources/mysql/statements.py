"""The statements that MySQL and MariaDB are asked with; there are no others.

For MySQL 8 and MariaDB 10.5 or later: where the two differ, each runs its own of the `/*!` comments, so that a
statement can be pasted into either. MariaDB's half is tested on a real server, MySQL's is not.
"""

MOST = 1000  # processes, transactions or waits of one answer; one more is asked for, to know whether there are more

STATUS = """
SHOW GLOBAL STATUS WHERE Variable_name IN ('Threads_connected', 'Threads_running', 'Max_used_connections',
  'Aborted_connects', 'Aborted_clients', 'Connection_errors_max_connections', 'Uptime', 'Slow_queries',
  'Innodb_row_lock_current_waits')
""".strip()
LIMITS = "SHOW GLOBAL VARIABLES WHERE Variable_name IN ('max_connections', 'version')"
# Without the privilege PROCESS this fails, and the next one would quietly tell of the account's own connections alone.
ALLOWED = "SELECT COUNT(*) AS transactions FROM information_schema.innodb_trx"
PROCESSES = """
SELECT id, user, host, db AS `database`, command, time AS seconds, state, LEFT(info, 4096) AS statement
FROM information_schema.processlist WHERE id <> CONNECTION_ID() ORDER BY time DESC, id LIMIT 1001
""".strip()
TRANSACTIONS = """
SELECT trx_mysql_thread_id AS id, p.user, p.host, trx_state AS state,
  TIMESTAMPDIFF(SECOND, trx_started, NOW()) AS seconds, trx_rows_locked AS locked_rows,
  trx_rows_modified AS modified_rows, LEFT(trx_query, 4096) AS statement
FROM information_schema.innodb_trx LEFT JOIN information_schema.processlist p ON p.id = trx_mysql_thread_id
WHERE trx_mysql_thread_id <> CONNECTION_ID() ORDER BY trx_started, trx_mysql_thread_id LIMIT 1001
""".strip()
WAITS = """
SELECT DISTINCT r.trx_mysql_thread_id AS waiting, b.trx_mysql_thread_id AS blocking,
  TIMESTAMPDIFF(SECOND, r.trx_wait_started, NOW()) AS seconds, locked AS `table`,
  LEFT(r.trx_query, 4096) AS waiting_statement, LEFT(b.trx_query, 4096) AS blocking_statement
FROM (
  /*M!100500 SELECT requesting_trx_id, blocking_trx_id, lock_table AS locked
    FROM information_schema.innodb_lock_waits JOIN information_schema.innodb_locks ON lock_id = requested_lock_id */
  /*!80001 SELECT requesting_engine_transaction_id AS requesting_trx_id,
    blocking_engine_transaction_id AS blocking_trx_id, CONCAT(object_schema, '.', object_name) AS locked
    FROM performance_schema.data_lock_waits JOIN performance_schema.data_locks
    ON engine_lock_id = requesting_engine_lock_id */
) w JOIN information_schema.innodb_trx r ON r.trx_id = requesting_trx_id
JOIN information_schema.innodb_trx b ON b.trx_id = blocking_trx_id
ORDER BY seconds DESC, waiting, blocking LIMIT 1001
""".strip()
VERSION = "SELECT VERSION() AS version"
