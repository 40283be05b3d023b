package domain_test

import (
	"errors"
	"testing"
	"time"

	"gaia/domain"
)

func TestFaultsOfProviders(t *testing.T) {
	t.Parallel()
	cases := map[string]struct {
		err                error
		fault, unreachable bool
	}{
		"away":              {domain.MissingPart("away", nil), true, true},
		"overloaded":        {&domain.Error{Kind: domain.Unavailable, Code: domain.CodeOverloaded}, true, true},
		"no quota":          {&domain.Error{Kind: domain.Unavailable, Code: domain.CodeQuota}, true, false},
		"wrong key":         {&domain.Error{Kind: domain.Unavailable, Code: domain.CodeCredentials}, true, false},
		"too often":         {&domain.Error{Kind: domain.Limited, Code: domain.CodeRateLimit}, true, false},
		"unknown":           {errors.New("strange"), true, false},
		"wrong request":     {domain.NewError(domain.BadRequest, "no"), false, false},
		"invalid request":   {domain.InvalidInput(), false, false},
		"too long a prompt": {&domain.Error{Kind: domain.BadRequest, Code: domain.CodeContextLength}, false, false},
		"filtered":          {&domain.Error{Kind: domain.BadRequest, Code: domain.CodeContentFilter}, false, false},
		"unknown model":     {&domain.Error{Kind: domain.NotFound, Code: domain.CodeModelNotFound}, false, false},
		"too large":         {domain.NewError(domain.TooLarge, "no"), false, false},
	}
	for name, c := range cases {
		r := domain.UsageRecord{Outcome: domain.OutcomeFailed, Failure: domain.FailureOf(c.err)}
		if r.FaultOfProvider() != c.fault || r.Unreachable() != c.unreachable {
			t.Errorf("%s (%s): fault %t, unreachable %t", name, r.Failure, r.FaultOfProvider(), r.Unreachable())
		}
		for _, outcome := range []domain.Outcome{domain.OutcomeCompleted, domain.OutcomeCanceled} {
			if r.Outcome = outcome; r.FaultOfProvider() || r.Unreachable() {
				t.Errorf("%s, but %s: a fault of the provider", name, outcome)
			}
		}
	}
}

func TestTimingsTotalCountsNothingTwice(t *testing.T) {
	t.Parallel()
	timings := domain.Timings{Authentication: 1, Validation: 2, Selection: 4, StreamSetup: 8, FirstToken: 16, Provider: 32, Processing: 64}
	if got := timings.Total(); got != time.Duration(1+2+4+32+64) {
		t.Errorf("got %d", got)
	}
}
