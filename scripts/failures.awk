# Of what go test has printed: each test that failed with what it said, without the logs of the servers it had, and each package that did.
function say(line) { print (length(line) > 600 ? substr(line, 1, 600) "…" : line) }

BEGIN { print "\nWhat failed:" }
/^ *--- FAIL: / { says = 60; say($0); next }
/^(panic:|fatal error:|WARNING: DATA RACE)/ { says = 60; say($0); next }
/^FAIL\t/ { says = 0; say($0); next }
/^( *--- (PASS|SKIP): |=== |ok  |PASS|FAIL|\?   )/ { says = 0; next }
/"time":"|"level":"|"status":/ { next } # a log
says > 0 && length($0) > 0 { says--; say($0) }
