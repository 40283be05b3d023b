package domain_test

import (
	"regexp"
	"strings"
	"testing"
	"time"

	"gaia/domain"
)

const id = "0199a1b2-c3d4-7e5f-8a6b-0123456789ab"

func TestParseID(t *testing.T) {
	t.Parallel()
	for _, good := range []string{id, strings.ToUpper(id), "00000000-0000-0000-0000-000000000000"} {
		if got, ok := domain.ParseID(good); !ok || got != strings.ToLower(good) {
			t.Errorf("%q gave %q, %v", good, got, ok)
		}
	}
	for _, bad := range []string{
		"", "default", id[1:], id + "0", "{" + id[2:] + "}", strings.ReplaceAll(id, "-", ""), "0199a1b2_c3d4-7e5f-8a6b-0123456789ab",
		"g" + id[1:], " " + id[1:], id[:35] + "\x00", id[:34] + "é", "0199a1b-2c3d4-7e5f-8a6b-0123456789ab", "'" + id[1:],
	} {
		if got, ok := domain.ParseID(bad); ok || got != "" {
			t.Errorf("%q gave %q, %v", bad, got, ok)
		}
	}
}

func FuzzParseID(f *testing.F) {
	shape := regexp.MustCompile(`^[0-9a-fA-F]{8}(-[0-9a-fA-F]{4}){3}-[0-9a-fA-F]{12}$`)
	f.Add(id)
	f.Add(strings.ToUpper(id))
	f.Add(id[:35] + "\n")
	f.Fuzz(func(t *testing.T, s string) {
		got, ok := domain.ParseID(s)
		if want := shape.MatchString(s) && len(s) == 36; ok != want {
			t.Fatalf("%q: got %v, want %v", s, ok, want)
		}
		if again, stable := domain.ParseID(got); ok && (!stable || again != got || !strings.EqualFold(got, s)) {
			t.Fatalf("%q became %q, which became %q", s, got, again)
		}
	})
}

func TestFirstID(t *testing.T) {
	t.Parallel()
	at := time.Date(2025, 3, 4, 5, 6, 7, 891e6, time.UTC)
	cases := map[string]struct {
		at   time.Time
		want string
	}{
		"a time":              {at, "01955f8c-0993-0000-0000-000000000000"},
		"in its millisecond":  {at.Add(999 * time.Microsecond), "01955f8c-0993-0000-0000-000000000000"},
		"elsewhere":           {at.In(time.FixedZone("away", 7*3600)), "01955f8c-0993-0000-0000-000000000000"},
		"the zero time":       {time.Time{}, "00000000-0000-0000-0000-000000000000"},
		"beyond what ids say": {time.Date(20000, 1, 1, 0, 0, 0, 0, time.UTC), "ffffffff-ffff-0000-0000-000000000000"},
	}
	for name, c := range cases {
		if got := domain.FirstID(c.at); got != c.want {
			t.Errorf("%s: got %s, want %s", name, got, c.want)
		}
	}
}
