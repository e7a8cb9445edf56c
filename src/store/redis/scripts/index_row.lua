-- Adds where a row is to a list, which is a sorted set of equal scores, and removes what is old.
-- KEYS: the list. ARGV: the oldest place to keep, its life in ms, the place.
redis.call('ZADD', KEYS[1], 0, ARGV[3])
redis.call('ZREMRANGEBYLEX', KEYS[1], '-', '(' .. ARGV[1])
redis.call('PEXPIRE', KEYS[1], ARGV[2])
return 1
