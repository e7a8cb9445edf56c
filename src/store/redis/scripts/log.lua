-- KEYS: the log. ARGV: the most rows, the oldest row to keep, its life in ms, rows.
return append(KEYS[1], tonumber(ARGV[1]), ARGV[2], ARGV[3], ARGV, 4)
