package mubert

import (
	"encoding/json"
	"strings"

	"gaia/adapters/internal/upstream"
	"gaia/domain"
)

// parseError reads the body of a refusal. Its code is exact, its status is nearly always 403.
func parseError(body []byte) (upstream.Said, bool) {
	var w struct {
		Code    string `json:"code"`
		Message string `json:"message"`
	}
	if json.Unmarshal(body, &w) != nil || w.Code == "" && w.Message == "" {
		return upstream.Said{}, false
	}
	return upstream.Said{Code: w.Code, Message: w.Message}, true
}

// refuse says what the codes mean; without one the status decides.
func refuse(r upstream.Refusal) *domain.Error {
	switch {
	case r.Is("LicenseLimitConcurrentTrackGenerationsCount"):
		return r.Limited()
	case strings.HasPrefix(r.Code, "LicenseLimit"): // of tracks or their length, in a day, a month or ever
		return r.NoQuota()
	case strings.HasPrefix(r.Code, "LicenseForbidden"): // this bitrate, duration, feature, format, intensity or mode, and not another
		return r.RefusedOrder()
	case strings.HasSuffix(r.Code, "NotFound") && r.Code != "TrackNotFound": // the customer, the company or the licence
		return r.RejectedKey()
	default:
		return nil
	}
}
