package postgres

import "testing"

func TestQueryName(t *testing.T) {
	t.Parallel()
	for sql, want := range map[string]string{
		"-- name: CountEvents :one\nSELECT count(*)": "CountEvents", "\n  SELECT id FROM x WHERE a = 'secret'": "select", "begin": "begin",
		"INSERT\nINTO x": "insert", "": "",
	} {
		if got := queryName(sql); got != want {
			t.Errorf("%q is called %q, want %q", sql, got, want)
		}
	}
}
