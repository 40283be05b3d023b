package domain_test

import (
	"testing"
	"time"

	"gaia/domain"
)

func TestRenewalJudge(t *testing.T) {
	t.Parallel()
	now := time.Date(2001, 2, 3, 4, 5, 6, 0, time.UTC)
	r := domain.Renewal{TokenHash: "one", NextHash: "two", At: now, EndsAt: now.Add(time.Hour), Grace: 10 * time.Second}
	ago := func(d time.Duration) time.Time { return now.Add(-d) }
	for name, c := range map[string]struct {
		seen  domain.StoredToken
		want  domain.RenewalResult
		store bool
	}{
		"the newest token":                       {domain.StoredToken{}, domain.RenewalDone, true},
		"the answer got lost":                    {domain.StoredToken{UsedAt: ago(time.Hour), NextHash: "two"}, domain.RenewalDone, false},
		"the answer got lost and the key is new": {domain.StoredToken{UsedAt: ago(time.Hour), NextHash: "other"}, domain.RenewalDone, true},
		"older, used a moment ago":               {domain.StoredToken{ago(9999 * time.Millisecond), "two", ago(0)}, domain.RenewalPassed, false},
		"older, used long ago":                   {domain.StoredToken{ago(10 * time.Second), "two", ago(0)}, domain.RenewalReused, false},
		"used by a clock that is ahead":          {domain.StoredToken{now.Add(time.Second), "two", now.Add(time.Second)}, domain.RenewalPassed, false},
	} {
		if got, store := r.Judge(c.seen); got != c.want || store != c.store {
			t.Errorf("%s: got %d, store %v, want %d, %v", name, got, store, c.want, c.store)
		}
	}
	if got := r.OldestToken(); !got.Equal(ago(time.Hour)) {
		t.Errorf("tokens are remembered since %v", got)
	}
}

func TestSessionEnds(t *testing.T) {
	t.Parallel()
	end := time.Date(2001, 2, 3, 4, 5, 6, 0, time.UTC)
	s := domain.StoredSession{EndsAt: end}
	if s.Ended(end.Add(-1)) || !s.Ended(end) || !s.Ended(end.Add(1)) {
		t.Error("a session ends at another time than its end")
	}
}
