package domain_test

import (
	"encoding/json"
	"errors"
	"testing"
	"time"

	"gaia/domain"
)

func TestKeysExpireWhenJSONCanSay(t *testing.T) {
	t.Parallel()
	now := time.Date(2027, 1, 1, 0, 0, 0, 0, time.UTC)
	for text, good := range map[string]bool{
		"9999-12-31T23:59:59Z":      true,
		"9999-12-31T23:59:59+01:00": true,
		"9999-12-31T23:59:59-00:01": false, // the year 10000 in UTC, which no answer could show
		"9999-12-31T23:59:59-23:59": false,
	} {
		at, err := time.Parse(time.RFC3339, text)
		if err != nil {
			t.Fatal(err)
		}
		draft, err := domain.APIKeyDraft{Name: "n", ExpiresAt: at}.Check(now)
		if !good {
			var e *domain.Error
			if !errors.As(err, &e) || len(e.Faults) != 1 || e.Faults[0].Loc[1] != "expires_at" {
				t.Errorf("%s: %v", text, err)
			}
			continue
		}
		if err != nil || !draft.ExpiresAt.Equal(at) {
			t.Errorf("%s: %v, %v", text, draft.ExpiresAt, err)
		}
		if _, err := json.Marshal(draft.ExpiresAt.UTC()); err != nil {
			t.Error(err)
		}
	}
}
