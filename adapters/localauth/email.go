package localauth

import (
	"regexp"
	"strings"

	"gaia/domain"
)

const maxAddressBytes = 255

// addressForm is that of HTML, which Supabase Auth goes by: names without a dot are hosts, too.
var addressForm = regexp.MustCompile(
	"^[a-zA-Z0-9.!#$%&'*+/=?^_`{|}~-]+@[a-zA-Z0-9](?:[a-zA-Z0-9-]{0,61}[a-zA-Z0-9])?(?:\\.[a-zA-Z0-9](?:[a-zA-Z0-9-]{0,61}[a-zA-Z0-9])?)*$")

// parseAddress reads an address as Supabase Auth does: the case does not matter, spaces are not forgiven.
func parseAddress(email string) (string, bool) {
	if len(email) > maxAddressBytes || !addressForm.MatchString(email) {
		return "", false
	}
	return strings.ToLower(email), true
}

func badAddress(code string) error { return refusal(code, msgBadAddress) }

// What clients read. Supabase behind Gaia says the same.
const (
	msgBadCredentials = "The e-mail address or the password is wrong"
	msgNotRegistered  = "An account can't be opened with this e-mail address and password"
	msgWeakPassword   = "The password is too weak: it has fewer than 6 characters"
	msgLongPassword   = "The password is longer than 72 bytes"
	msgBadAddress     = "The e-mail address is not valid"
	msgBadRefresh     = "The refresh token is not valid anymore: sign in again"
	msgBadToken       = "The access token is not valid" //nolint:gosec // a text, not a credential
	msgSessionEnded   = "The session has ended: sign in again"
	msgBusy           = "Too many people sign in at the moment"
	msgNoMail         = "This server keeps its own accounts and can't send mail; whoever runs it sets a new password with: gaia accounts password"
)

func refusal(code, message string) *domain.Error {
	return &domain.Error{Kind: domain.BadRequest, Code: code, Message: message}
}
