-- Ends a lease, unless another one holds it by now. KEYS: the lease. ARGV: its nonce.
if redis.call('GET', KEYS[1]) == ARGV[1] then
  redis.call('DEL', KEYS[1])
end
return 1
