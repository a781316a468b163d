"""Jobs (后台任务): work that nobody waits for, on a queue in the same database, taken up again when a worker dies."""
