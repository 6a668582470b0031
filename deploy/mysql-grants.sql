-- The account that the runbooks ask MySQL 8 or MariaDB with: it sees who is connected, what runs, and who waits for
-- whom, and not a row of anybody's data. Change the password, run it as an administrator, then name the account in
-- runbook.toml:
--
--   mysql = { host = "mysql-primary", user = "oncall", password_env = "MYSQL_PASSWORD" }
--
-- Each question of a runbook logs in for a moment and out again, and is read-only whatever the account may do.
CREATE USER 'oncall'@'%' IDENTIFIED BY 'CHANGE-ME';

-- All connections and transactions, instead of the account's own alone.
GRANT PROCESS ON *.* TO 'oncall'@'%';

-- Who waits for whom: in MySQL 8 these are tables with rights of their own. MariaDB passes over such comments.
/*!80001 GRANT SELECT ON performance_schema.data_locks TO 'oncall'@'%' */;
/*!80001 GRANT SELECT ON performance_schema.data_lock_waits TO 'oncall'@'%' */;
