package main

import (
	"context"
	"errors"
	"flag"
	"fmt"
	"io"
	"os"
	"path/filepath"
	"strconv"
	"strings"
	"text/tabwriter"
	"time"

	"gaia/app"
	"gaia/domain"
	"gaia/ports"
)

const keysUsage = `Usage:
  gaia keys create --name NAME [--scopes SCOPE,…] [--tools PATTERN,…] [--user ID] [--owner OWNER] [--expires WHEN]
  gaia keys list [--owner OWNER] [--limit N] [--offset N]
  gaia keys revoke ID
  gaia keys rotate ID [--grace TIME]

Makes and changes API keys in the database that DATABASE_URL or GAIA_DATA_DIR names. The server may run or not.

create and rotate print the new key, and nothing else, on standard output, once: only its hash is kept.
  --name     what the key is for
  --scopes   what it may do; without any: everything. There are
             ` + scopesUsage + `
  --tools    which tools of Gaia it may use in chats and workflows, such as "files/read_*,search/*": a tool server and a tool, * for any
             characters of either. "*" is every tool, "none" is none. Without it a key without scopes may use all, one with scopes none
  --user     for whom it speaks; without one: for itself, with conversations and usage of its own
  --owner    who sees it at /api/v1/auth/api-keys and may change it there; without one: the user, or who has the global key ("service")
  --expires  a time like 2027-01-31 or 2027-01-31T12:00:00Z, or a span from now like 90d or 12h; without it: never
  --grace    how long the old key goes on working, from 0 to 30d; without it: 24h

What is revoked, running servers refuse within a second. They are told over NATS when NATS_URL is set; on SQLite they look up each
second. Where PostgreSQL is used without NATS it takes up to 5 seconds. When NATS or Redis can't be reached it may take up to
API_KEY_CACHE_TTL, and the command says so.
`

const scopesUsage = `chat:read chat:write models:read personas:read personas:write assets:read assets:write usage:read
             usage:write performance:read performance:write filesystem:read keys:manage workflows:read workflows:write`

const (
	serviceOwner   = "service"
	defaultGrace   = 24 * time.Hour
	defaultKeyPage = 100
	tellTimeout    = 5 * time.Second // for telling running servers
	tellRetry      = 50 * time.Millisecond
)

// keysCommand is a parsed command line of gaia keys.
type keysCommand struct {
	verb          string
	id            string
	draft         domain.APIKeyDraft
	user, owner   string
	grace         time.Duration
	limit, offset int
}

// runKeys changes API keys. Keys go to out, all that people want to know beside to info.
func runKeys(ctx context.Context, args []string, out, info io.Writer) error {
	command, err := parseKeys(args, time.Now())
	if errors.Is(err, flag.ErrHelp) {
		_, err = io.WriteString(out, keysUsage)
		return err
	}
	if err != nil {
		return err
	}
	c, err := loadConfig(".env", os.Environ())
	if err != nil {
		return err
	}
	return command.run(ctx, c, out, info)
}

func parseKeys(args []string, now time.Time) (keysCommand, error) {
	if len(args) == 0 || args[0] == "help" || args[0] == "--help" || args[0] == "-h" {
		return keysCommand{}, flag.ErrHelp
	}
	k := keysCommand{verb: args[0], grace: defaultGrace}
	flags := flag.NewFlagSet("gaia keys "+k.verb, flag.ContinueOnError)
	flags.SetOutput(io.Discard) // its errors come back, too
	wantID := false
	switch k.verb {
	case "create":
		flags.StringVar(&k.draft.Name, "name", "", "")
		flags.Func("scopes", "", func(s string) error { k.draft.Scopes = splitList(s); return checkScopes(k.draft.Scopes) })
		flags.Func("tools", "", func(s string) (err error) { k.draft.Tools, err = parseTools(s); return err })
		flags.StringVar(&k.user, "user", "", "")
		flags.StringVar(&k.owner, "owner", "", "")
		flags.Func("expires", "", func(s string) (err error) { k.draft.ExpiresAt, err = parseWhen(s, now); return err })
	case "list":
		flags.StringVar(&k.owner, "owner", "", "")
		flags.IntVar(&k.limit, "limit", defaultKeyPage, "")
		flags.IntVar(&k.offset, "offset", 0, "")
	case "revoke":
		wantID = true
	case "rotate":
		wantID = true
		flags.Func("grace", "", func(s string) (err error) { k.grace, err = parseSpan(s); return err })
	default:
		return keysCommand{}, fmt.Errorf("unknown command keys %q: see gaia keys help: %w", k.verb, errUsage)
	}
	rest, err := parseMixed(flags, args[1:])
	switch {
	case errors.Is(err, flag.ErrHelp):
		return keysCommand{}, err
	case err != nil:
		return keysCommand{}, fmt.Errorf("gaia keys %s: %w: %w", k.verb, err, errUsage)
	case wantID && len(rest) == 1:
		k.id = rest[0]
	case wantID || len(rest) > 0:
		return keysCommand{}, fmt.Errorf("gaia keys %s: wrong number of arguments: %w", k.verb, errUsage)
	}
	if k.limit < 0 || k.offset < 0 {
		return keysCommand{}, fmt.Errorf("gaia keys list: --limit and --offset must not be below 0: %w", errUsage)
	}
	return k, nil
}

// parseMixed lets flags stand behind other arguments, too, and returns these.
func parseMixed(flags *flag.FlagSet, args []string) (rest []string, err error) {
	for {
		if err := flags.Parse(args); err != nil {
			return nil, err
		}
		if flags.NArg() == 0 {
			return rest, nil
		}
		rest, args = append(rest, flags.Arg(0)), flags.Args()[1:]
	}
}

func checkScopes(scopes []string) error {
	if len(scopes) == 0 {
		return errors.New("names none: leave it out for a key that may do everything")
	}
	for _, scope := range scopes {
		if !domain.IsKeyScope(scope) {
			return fmt.Errorf("there is no scope %q", scope)
		}
	}
	return nil
}

// noTools is the list of tools of a key that may use none.
const noTools = "none"

func parseTools(s string) ([]string, error) {
	if strings.TrimSpace(s) == noTools {
		return []string{}, nil
	}
	tools := splitList(s)
	if len(tools) == 0 {
		return nil, errors.New(`is empty: write "none" for a key that may use no tool`)
	}
	for _, pattern := range tools {
		if !domain.IsToolPattern(pattern) {
			return nil, fmt.Errorf("%q is no pattern like server/tool", pattern)
		}
	}
	return tools, nil
}

// showTools is what a key may use, in a word or as a list.
func showTools(k domain.APIKey) string {
	switch {
	case len(k.Tools) > 0:
		return strings.Join(k.Tools, ",")
	case k.Tools == nil && len(k.Scopes) == 0:
		return "all"
	default:
		return noTools
	}
}

// parseWhen reads a time, or a span from now.
func parseWhen(s string, now time.Time) (time.Time, error) {
	for _, layout := range []string{time.RFC3339Nano, time.DateOnly} {
		if t, err := time.Parse(layout, s); err == nil {
			return t, nil
		}
	}
	span, err := parseSpan(s)
	if err != nil {
		return time.Time{}, errors.New("neither a time like 2027-01-31 or 2027-01-31T12:00:00Z nor a span like 90d or 12h")
	}
	return now.Add(span), nil
}

// parseSpan reads a span of time: whole days, "90d", or what Go reads, "12h30m". 0 needs no unit.
func parseSpan(s string) (time.Duration, error) {
	const most = 100 * 365 // days, far from what a time can't hold
	if days, isDays := strings.CutSuffix(s, "d"); isDays {
		n, err := strconv.Atoi(days)
		if err != nil || n < 0 || n > most {
			return 0, fmt.Errorf("%q is no number of days", days)
		}
		return time.Duration(n) * 24 * time.Hour, nil
	}
	span, err := time.ParseDuration(s)
	if err != nil || span < 0 {
		return 0, fmt.Errorf("%q is no span of time like 30d, 12h or 0", s)
	}
	return span, nil
}

func (k keysCommand) run(ctx context.Context, c config, out, info io.Writer) error {
	sys := &system{}
	defer sys.close()
	store, err := openKeys(ctx, c, sys, k.verb == "create")
	if err != nil {
		return err
	}
	news, err := openNews(ctx, c, sys)
	if err != nil {
		return err
	}
	err = k.do(ctx, newAPIKeys(c, store, news, nil, nil), out, info)
	if err == nil && news.told {
		_, err = fmt.Fprintln(info, news.outcome())
	}
	return explainKeys(err)
}

// openKeys opens the database in force. An embedded one that is not there is made only for who wants to put something into it: it may be
// the wrong folder.
func openKeys(ctx context.Context, c config, sys *system, mayMake bool) (ports.APIKeyStore, error) {
	dir := c.DataDir
	if c.DatabaseURL == "" {
		var err error
		if mayMake {
			dir, err = c.dataDir()
		} else {
			_, err = os.Stat(filepath.Join(dir, databaseFile))
		}
		if err != nil {
			return nil, fmt.Errorf("there is no database in GAIA_DATA_DIR, and DATABASE_URL is not set: %w", err)
		}
	}
	db, err := openDatabase(ctx, c, dir, sys, map[string]ports.Probe{})
	return db.apiKeys, err
}

// explainKeys tells every fault of the input, which the message of the error leaves to who shows them.
func explainKeys(err error) error {
	var e *domain.Error
	if !errors.As(err, &e) || len(e.Faults) == 0 {
		return err
	}
	faults := make([]error, len(e.Faults))
	for i, f := range e.Faults {
		faults[i] = fmt.Errorf("%v: %s", f.Loc[len(f.Loc)-1], f.Msg)
	}
	return errors.Join(faults...)
}

func (k keysCommand) do(ctx context.Context, keys *app.APIKeys, out, info io.Writer) error {
	switch k.verb {
	case "create":
		return k.create(ctx, keys, out, info)
	case "list":
		list, total, err := keys.ListOf(ctx, k.owner, k.limit, k.offset)
		if err != nil {
			return err
		}
		return printKeys(out, info, list, total)
	case "revoke":
		key, err := keys.RevokeAny(ctx, k.id)
		if err != nil {
			return err
		}
		_, err = fmt.Fprintf(info, "Revoked %s, %q.\n", key.ID, key.Name)
		return err
	default:
		return k.rotate(ctx, keys, out, info)
	}
}

func (k keysCommand) create(ctx context.Context, keys *app.APIKeys, out, info io.Writer) error {
	owner := k.owner
	if owner == "" {
		owner = k.user
	}
	if owner == "" {
		owner = serviceOwner
	}
	text, key, err := keys.CreateFor(ctx, owner, k.user, k.draft)
	if err != nil {
		return err
	}
	if _, err := fmt.Fprintln(out, text); err != nil {
		return fmt.Errorf("the key %s is made, but could not be shown: revoke it: %w", key.ID, err)
	}
	_, err = fmt.Fprintf(info, "Made %s, %q, of %q. Keep the key now: it can't be shown again.\n", key.ID, key.Name, key.Owner)
	return err
}

func (k keysCommand) rotate(ctx context.Context, keys *app.APIKeys, out, info io.Writer) error {
	rotated, err := keys.RotateAny(ctx, k.id, k.grace)
	if err != nil {
		return err
	}
	if _, err := fmt.Fprintln(out, rotated.Text); err != nil {
		return fmt.Errorf("the key %s is made, but could not be shown: revoke it: %w", rotated.Key.ID, err)
	}
	_, err = fmt.Fprintf(info, "Made %s in place of %s, which works until %s. Keep the key now: it can't be shown again.\n",
		rotated.Key.ID, rotated.Old.ID, rotated.Old.ExpiresAt.Format(time.RFC3339))
	return err
}

func printKeys(out, info io.Writer, list []domain.APIKey, total int) error {
	w := tabwriter.NewWriter(out, 0, 4, 2, ' ', 0)
	fmt.Fprintln(w, "ID\tSTATE\tBEGINS\tOWNER\tSPEAKS FOR\tCREATED\tEXPIRES\tLAST USED\tSCOPES\tTOOLS\tNAME")
	for _, k := range list {
		state := "active"
		switch {
		case !k.Active:
			state = "revoked"
		case !k.UsableAt(time.Now()):
			state = "expired"
		}
		scopes := strings.Join(k.Scopes, ",")
		if scopes == "" {
			scopes = "everything"
		}
		fmt.Fprintf(w, "%s\t%s\t%s\t%q\t%q\t%s\t%s\t%s\t%s\t%s\t%q\n", k.ID, state, orDash(k.Prefix), k.Owner, k.Principal().OwnerID(),
			showTime(k.CreatedAt), showTime(k.ExpiresAt), showTime(k.LastUsedAt), scopes, showTools(k), k.Name)
	}
	if err := w.Flush(); err != nil {
		return err
	}
	if len(list) < total {
		_, err := fmt.Fprintf(info, "%d of %d keys; see --limit and --offset.\n", len(list), total)
		return err
	}
	return nil
}

func orDash(s string) string {
	if s == "" {
		return "-"
	}
	return s
}

func showTime(t time.Time) string {
	if t.IsZero() {
		return "-"
	}
	return t.UTC().Format(time.RFC3339)
}
