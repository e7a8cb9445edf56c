-- Reads what is known of a session. ARGV: the session.
return read(ARGV[1])
