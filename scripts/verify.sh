#!/bin/sh
# Generates everything again and fails when a byte of it changes.
#
# The old output is moved away first, so that a file which is no longer
# generated shows too; it comes back when the comparison fails, so that a
# developer's tree is never left half generated.
set -eu
cd "$(dirname "$0")/.."

generated() {
	find . -name '*.go' -not -path './.git/*' -not -path './bin/*' -exec \
		grep -lE '^// Code generated .* DO NOT EDIT\.$' {} + | sort
}

before=$(mktemp -d)
after=$(mktemp -d)
keep() { # keep DIRECTORY: copy what is generated into it
	generated | while read -r f; do
		mkdir -p "$1/$(dirname "$f")"
		cp -p "$f" "$1/$f"
	done
}
restore() {
	generated | while read -r f; do rm -f "$f"; done
	cp -pR "$before"/* . # not "/.", which would give this folder the mode of a temporary one
}
done=no
finish() {
	[ "$done" = yes ] || restore
	rm -rf "$before" "$after"
}
trap finish EXIT
trap 'exit 1' HUP INT TERM

keep "$before"
[ -n "$(ls -A "$before")" ] || { echo "verify: found nothing that is generated" >&2; exit 1; }
generated | while read -r f; do rm -f "$f"; done

"${GO:-go}" generate ./api
bin/sqlc generate
keep "$after"

if ! diff -ru "$before" "$after" >"$after.diff"; then
	head -n 60 "$after.diff" | cut -c -160
	rm -f "$after.diff"
	echo "verify: generated code is not what its sources say. Run make generate and commit the result." >&2
	exit 1
fi
rm -f "$after.diff"
done=yes
restore # the same bytes with their old times, so that nothing is built again
echo "verify: $(generated | wc -l | tr -d ' ') generated files are up to date"
