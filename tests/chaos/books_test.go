package chaos

import (
	"context"
	"encoding/json"
	"errors"
	"fmt"
	"io/fs"
	"net/http"
	"path/filepath"
	"slices"
	"strings"
	"testing"
	"time"

	"github.com/jackc/pgx/v5"
	"github.com/nats-io/nats.go"
	"github.com/nats-io/nats.go/jetstream"
)

// settleLimit is for what goes on after the last request.
const settleLimit = 90 * time.Second

// audit compares what clients know with what is stored, and what is stored with itself.
type audit struct {
	t    *testing.T
	load *load
	db   *pgx.Conn
}

// checkBooks looks into everything when the clients have stopped and every part is well.
func checkBooks(l *load) {
	t := l.world.t
	t.Helper()
	db, err := pgx.Connect(t.Context(), l.world.backend.Settings["DATABASE_URL"])
	if err != nil {
		t.Fatal(err)
	}
	defer db.Close(context.WithoutCancel(t.Context())) //nolint:errcheck // the answers are in
	a := &audit{t, l, db}
	a.settle()
	for _, who := range l.actors {
		switch who.name {
		case "chats", "typed streams", "UI streams":
			a.conversations(who)
			a.once(who, "turns", "SELECT http_request_id FROM usage_ledger WHERE principal = $1 AND outcome = 'completed' AND NOT claimed")
		case "OpenAI streams":
			a.once(who, "answers", "SELECT http_request_id FROM usage_ledger WHERE principal = $1 AND outcome = 'completed' AND NOT claimed")
			a.askedOnce(who)
			a.amount(who, "answers", "SELECT count(*) FROM usage_ledger WHERE principal = $1 AND outcome = 'completed' AND NOT claimed", who.user)
		case "usage reports":
			a.once(who, "reports", "SELECT http_request_id FROM usage_ledger WHERE principal = $1 AND claimed")
			a.amount(who, "reports", "SELECT count(*) FROM usage_ledger WHERE principal = $1 AND claimed", who.user)
		case "files":
			a.once(who, "files", "SELECT title FROM assets WHERE owner = $1")
			a.amount(who, "files", "SELECT count(*) FROM assets WHERE owner = $1", who.user)
		case "generated assets":
			a.once(who, "assets", "SELECT request->>'description' FROM generations WHERE owner = $1")
			a.amount(who, "assets", "SELECT count(*) FROM generations WHERE owner = $1 AND status = 'completed'", who.user)
			a.same("assets and generations that made one", "SELECT count(*) FROM assets WHERE owner = $1",
				"SELECT count(DISTINCT asset_id) FROM generations WHERE owner = $1 AND status = 'completed'", who.user)
		case "workflows":
			a.once(who, "workflows", "SELECT task FROM workflows WHERE owner = $1")
			a.amount(who, "workflows", "SELECT count(*) FROM workflows WHERE owner = $1 AND status = 'completed'", who.user)
		}
	}
	a.budgets()
	a.reservations()
	a.leases()
	a.events()
	a.storage()
}

// number asks for one number.
func (a *audit) number(query string, args ...any) (n int) {
	a.t.Helper()
	if err := a.db.QueryRow(a.t.Context(), query, args...).Scan(&n); err != nil {
		a.t.Fatalf("%s: %v", query, err)
	}
	return n
}

// settle waits until nothing is on its way any more.
func (a *audit) settle() {
	a.t.Helper()
	a.sent()
	for what, query := range map[string]string{
		"workflows are open":      "SELECT count(*) FROM workflows WHERE completed_at IS NULL",
		"assets are being made":   "SELECT count(*) FROM generations WHERE completed_at IS NULL",
		"answers are being given": `SELECT count(*) FROM kept_answers WHERE answer IS NULL AND lease_until > now()`,
	} {
		a.wait(what, query, 0)
	}
	a.sent()
}

// sent waits until all events are.
func (a *audit) sent() {
	a.t.Helper()
	a.wait("events wait", "SELECT count(*) FROM outbox", 0)
}

// wait waits until no more of something are left than may be.
func (a *audit) wait(what, query string, most int) {
	a.t.Helper()
	n, deadline := a.number(query), time.Now().Add(settleLimit)
	for ; n > most && time.Now().Before(deadline); n = a.number(query) {
		time.Sleep(50 * time.Millisecond)
	}
	if n > most {
		a.t.Errorf("after %s %d %s, and %d may", settleLimit, n, what, most)
	}
	a.t.Logf("%d %s, and %d may", n, what, most)
}

// amount compares how many of something there are with what a client was told: no fewer than were confirmed, no more than were asked for.
func (a *audit) amount(who *actor, what, query string, args ...any) {
	a.t.Helper()
	confirmed, asked, n := len(who.books.answered), len(who.books.asked), a.number(query, args...)
	if n < confirmed || n > asked {
		a.t.Errorf("%d %s are stored; %d were asked for, %d of them confirmed", n, what, asked, confirmed)
	}
	a.t.Logf("%s: %d asked for, %d confirmed, %d stored", who.name, asked, confirmed, n)
}

// once looks whether anything that a client has asked for once is there twice, or at all after it was told to ask again: query gives
// what each was asked for as.
func (a *audit) once(who *actor, what, query string) {
	a.t.Helper()
	seen := map[string]int{}
	for _, label := range a.column(query, who.user) {
		seen[label]++
	}
	for label, n := range seen {
		if n > 1 {
			a.t.Errorf("%s: %s was asked for once and is there %d times (%s)", who.name, label, n, what)
		}
		if who.books.invited[label] {
			a.t.Errorf("%s: %s is there, and its 503 said when to ask again (%s)", who.name, label, what)
		}
	}
}

// askedOnce looks whether the provider has heard a question twice that nobody was allowed to repeat, or one that was to be asked again.
func (a *audit) askedOnce(who *actor) {
	a.t.Helper()
	for _, question := range who.books.asked {
		n := a.load.world.heard(question)
		switch _, may := who.books.keyed[question]; {
		case may:
		case n > 1:
			a.t.Errorf("%s: %q has no key, and was paid for %d times", who.name, question, n)
		case n > 0 && who.books.invited[question]:
			a.t.Errorf("%s: %q was paid for, and its 503 said when to ask again", who.name, question)
		}
	}
}

// stored is a message of a conversation.
type stored struct{ Role, Content string }

// conversations reads all that a client has said: every answer that was confirmed is there once, with its question, in its place; one that
// was not is there once or not at all.
func (a *audit) conversations(who *actor) {
	a.t.Helper()
	turns, seen := 0, map[string]bool{}
	for _, id := range who.books.conversations {
		messages := a.messages(who, id)
		if len(messages)%2 != 0 {
			a.t.Errorf("%s: %d messages in conversation %s: half a turn", who.name, len(messages), id)
			continue
		}
		for i := 0; i < len(messages); i += 2 {
			question, answer := messages[i], messages[i+1]
			switch {
			case question.Role != "user" || answer.Role != "assistant" || strings.TrimSpace(answer.Content) != strings.TrimSpace(answerTo(question.Content)):
				a.t.Errorf("%s: no turn: %+v, %+v", who.name, question, answer)
			case seen[question.Content]:
				a.t.Errorf("%s: %q is there twice", who.name, question.Content)
			case !slices.Contains(who.books.asked, question.Content):
				a.t.Errorf("%s: nobody asked %q", who.name, question.Content)
			}
			seen[question.Content] = true
			turns++
		}
	}
	for question := range who.books.answered {
		if !seen[question] {
			a.t.Errorf("%s: %q was answered and is not in the conversation", who.name, question)
		}
	}
	if n := a.number("SELECT count(*) FROM usage_ledger WHERE principal = $1 AND outcome = 'completed'", who.user); n != turns {
		a.t.Errorf("%s: %d turns are stored, the ledger has %d", who.name, turns, n)
	}
	a.t.Logf("%s: %d asked, %d answered, %d stored", who.name, len(who.books.asked), len(who.books.answered), turns)
}

func (a *audit) messages(who *actor, conversation string) (list []stored) {
	a.t.Helper()
	r := &request{method: http.MethodGet, path: "/api/v1/conversations/" + conversation + "/messages?limit=100", also: []int{http.StatusNotFound}}
	if v := who.do(r); v != right {
		a.t.Errorf("%s: the conversation %s can't be read: %s %s", who.name, conversation, v, r.data)
		return nil
	}
	if r.status == http.StatusNotFound { // no turn in it was ever stored
		return nil
	}
	var page struct{ Messages []stored }
	if err := json.Unmarshal(r.data, &page); err != nil {
		a.t.Error(err)
	}
	return page.Messages
}

// budgets compares what everybody has spent with the ledger.
func (a *audit) budgets() {
	a.t.Helper()
	rows, err := a.db.Query(a.t.Context(), `
		SELECT coalesce(l.principal, b.principal), coalesce(l.cost, 0)::bigint, coalesce(b.spent, 0)::bigint
		FROM (SELECT principal, sum(cost) AS cost FROM usage_ledger WHERE NOT claimed GROUP BY 1) AS l
		FULL JOIN (SELECT principal, sum(spent) AS spent FROM budgets GROUP BY 1) AS b ON b.principal = l.principal
		WHERE coalesce(l.cost, 0) <> coalesce(b.spent, 0)`)
	if err != nil {
		a.t.Fatal(err)
	}
	defer rows.Close()
	for rows.Next() {
		var who string
		var cost, spent int64
		if err := rows.Scan(&who, &cost, &spent); err != nil {
			a.t.Fatal(err)
		}
		a.t.Errorf("the ledger has %d billionths of a dollar for %s, the budget %d", cost, a.nameOf(who), spent)
	}
	if err := rows.Err(); err != nil {
		a.t.Fatal(err)
	}
}

func (a *audit) nameOf(user string) string {
	for _, who := range a.load.actors {
		if who.user == user {
			return who.name
		}
	}
	return user
}

// reservations are given back with the answer, when the database is there again, or when nobody renews them any more. The row of one that has
// lapsed stays until its caller reserves again: for each client that a process may have been answering when it was killed.
func (a *audit) reservations() {
	a.t.Helper()
	a.wait("reservations are held", "SELECT count(*) FROM budget_reservations WHERE expires_at > now()", 0)
	a.wait("reservations are left", "SELECT count(*) FROM budget_reservations", int(a.load.world.chatsKilled.Load())*chatters)
}

// leases are on files that are not needed: no more of them than there were uploads and orders that went wrong.
func (a *audit) leases() {
	a.t.Helper()
	if n := a.number(`SELECT count(*) FROM file_leases AS l JOIN assets AS a ON l.file_key IN (a.file_key, a.preview_key)`); n > 0 {
		a.t.Errorf("%d files of assets are going to be removed", n)
	}
	lost := int(a.load.world.faults.Load()) * makers
	for _, who := range a.load.actors {
		if who.name == "files" {
			lost += len(who.books.asked) - len(who.books.answered)
		}
	}
	a.wait("leases are left", "SELECT count(*) FROM file_leases", lost)
}

// event is one in the stream.
type event struct {
	id, subject string
	payload     map[string]any
}

// events compares the stream with what is stored: each once, and those of one thing in their order.
func (a *audit) events() {
	a.t.Helper()
	var all []event
	logged := a.pairs(auditQuery)
	a.sent()
	want := a.number(`SELECT (SELECT count(*) FROM usage_ledger WHERE NOT claimed) + (SELECT count(*) FROM workflow_events) + (SELECT count(*) FROM generation_events)
		+ (SELECT count(*) FROM chat_messages WHERE role = 'assistant')`)
	for deadline := time.Now().Add(settleLimit); ; time.Sleep(100 * time.Millisecond) {
		if all = a.stream(); len(all) >= want || time.Now().After(deadline) {
			break
		}
	}
	place := map[string]int{}
	usage := map[string]int{}
	answers := map[string]int{}
	messages := map[string]int{}
	for i, e := range all {
		if _, twice := place[e.id]; twice {
			a.t.Errorf("the event %s %s is in the stream twice", e.subject, e.id)
		}
		place[e.id] = i
		switch e.subject {
		case "gaia.usage.recorded":
			usage[fmt.Sprint(e.payload["request_id"], " ", e.payload["attempt"])]++
		case "gaia.chat.message.complete":
			user, _ := e.payload["user_id"].(string)
			message, _ := e.payload["message_id"].(string)
			answers[user]++
			messages[message] = i
		}
	}
	a.t.Logf("%d events are in the stream", len(all))
	a.usageEvents(usage)
	a.answerEvents(answers)
	a.answerOrder(messages)
	a.auditEvents(all, logged)
	for _, kind := range []string{"workflow", "generation"} {
		a.progressEvents(kind, place)
		a.endings(kind)
	}
}

// endings: what came to an end did so once, and nothing happened to it afterwards.
func (a *audit) endings(kind string) {
	a.t.Helper()
	query := fmt.Sprintf(`SELECT %[1]s_id::text, string_agg(type, ', ' ORDER BY sequence) FROM %[1]s_events GROUP BY 1
		HAVING count(*) FILTER (WHERE type IN ('completed', 'failed', 'cancelled')) <> 1
			OR (array_agg(type ORDER BY sequence DESC))[1] NOT IN ('completed', 'failed', 'cancelled')`, kind)
	for id, history := range a.pairs(query) {
		a.t.Errorf("%s %s did not come to one end: %s", kind, id, history)
	}
}

// same compares two numbers of one client.
func (a *audit) same(what, query, other, user string) {
	a.t.Helper()
	if n, m := a.number(query, user), a.number(other, user); n != m {
		a.t.Errorf("%s: %d and %d", what, n, m)
	}
}

func (a *audit) usageEvents(got map[string]int) {
	a.t.Helper()
	for key, name := range a.pairs("SELECT request_id::text || ' ' || attempt, principal FROM usage_ledger WHERE NOT claimed") {
		if got[key] != 1 {
			a.t.Errorf("%s: the row %s of the ledger was told %d times", a.nameOf(name), key, got[key])
		}
		delete(got, key)
	}
	for key, n := range got {
		a.t.Errorf("the row %s was told %d times, and is not in the ledger", key, n)
	}
}

func (a *audit) pairs(query string) map[string]string {
	a.t.Helper()
	rows, err := a.db.Query(a.t.Context(), query)
	if err != nil {
		a.t.Fatal(err)
	}
	defer rows.Close()
	all := map[string]string{}
	for rows.Next() {
		var key, value string
		if err := rows.Scan(&key, &value); err != nil {
			a.t.Fatal(err)
		}
		all[key] = value
	}
	if err := rows.Err(); err != nil {
		a.t.Fatal(err)
	}
	return all
}

// column reads one.
func (a *audit) column(query string, args ...any) []string {
	a.t.Helper()
	rows, err := a.db.Query(a.t.Context(), query, args...)
	if err != nil {
		a.t.Fatal(err)
	}
	all, err := pgx.CollectRows(rows, pgx.RowTo[string])
	if err != nil {
		a.t.Fatal(err)
	}
	return all
}

// answerEvents: as many answers as turns.
func (a *audit) answerEvents(answers map[string]int) {
	a.t.Helper()
	for _, who := range a.load.actors {
		if len(who.books.conversations) == 0 {
			continue
		}
		n := a.number("SELECT count(*) FROM chat_messages WHERE principal = $1 AND role = 'assistant'", who.user)
		if answers[who.user] != n {
			a.t.Errorf("%s: %d answers are stored, %d were told", who.name, n, answers[who.user])
		}
	}
}

// answerOrder: the answers of a conversation were told in its order.
func (a *audit) answerOrder(place map[string]int) {
	a.t.Helper()
	rows, err := a.db.Query(a.t.Context(), "SELECT conversation_id::text, id::text FROM chat_messages WHERE role = 'assistant' ORDER BY conversation_id, seq")
	if err != nil {
		a.t.Fatal(err)
	}
	defer rows.Close()
	conversation, last := "", -1
	for rows.Next() {
		var of, id string
		if err := rows.Scan(&of, &id); err != nil {
			a.t.Fatal(err)
		}
		if of != conversation {
			conversation, last = of, -1
		}
		at, found := place[id]
		switch {
		case !found:
			a.t.Errorf("the answer %s of the conversation %s was never told", id, of)
			continue
		case at < last:
			a.t.Errorf("the answer %s of the conversation %s was told before the one before it", id, of)
		}
		last = at
	}
	if err := rows.Err(); err != nil {
		a.t.Fatal(err)
	}
}

// auditQuery finds what is told of credentials. Entries come for a minute after the load: what is alike is one of them.
const auditQuery = "SELECT id::text, action FROM audit_log WHERE action NOT LIKE 'tool%'"

// auditEvents: what the audit log had about credentials was told, and nothing else.
func (a *audit) auditEvents(all []event, logged map[string]string) {
	a.t.Helper()
	now := a.pairs(auditQuery)
	for _, e := range all {
		action, is := strings.CutPrefix(e.subject, "gaia.auth.")
		switch {
		case !is:
		case now[e.id] != action:
			a.t.Errorf("%s %s was told, and the audit log has %q", e.subject, e.id, now[e.id])
		default:
			delete(logged, e.id)
		}
	}
	for id, action := range logged {
		a.t.Errorf("%s %s is in the audit log and was never told", action, id)
	}
}

// progressEvents: everything that happened was told once, in its order.
func (a *audit) progressEvents(kind string, place map[string]int) {
	a.t.Helper()
	rows, err := a.db.Query(a.t.Context(), fmt.Sprintf("SELECT %s_id::text, sequence, id::text, type FROM %s_events ORDER BY 1, 2", kind, kind))
	if err != nil {
		a.t.Fatal(err)
	}
	defer rows.Close()
	entity, last := "", -1
	for rows.Next() {
		var of, id, what string
		var sequence int
		if err := rows.Scan(&of, &sequence, &id, &what); err != nil {
			a.t.Fatal(err)
		}
		if of != entity {
			entity, last = of, -1
		}
		at, found := place[id]
		if !found {
			a.t.Errorf("event %d (%s) of %s %s was never told", sequence, what, kind, of)
			continue
		}
		if at < last {
			a.t.Errorf("event %d (%s) of %s %s was told before the one before it", sequence, what, kind, of)
		}
		last = at
	}
	if err := rows.Err(); err != nil {
		a.t.Fatal(err)
	}
}

// stream reads all events with an id.
func (a *audit) stream() (all []event) {
	a.t.Helper()
	conn, err := nats.Connect(a.load.world.backend.Settings["NATS_URL"])
	if err != nil {
		a.t.Fatal(err)
	}
	defer conn.Close()
	js, err := jetstream.New(conn)
	if err != nil {
		a.t.Fatal(err)
	}
	ctx, cancel := context.WithTimeout(a.t.Context(), settleLimit)
	defer cancel()
	name, err := js.StreamNameBySubject(ctx, "gaia.chat.message.complete")
	if err != nil {
		a.t.Fatal(err)
	}
	s, err := js.Stream(ctx, name)
	if err != nil {
		a.t.Fatal(err)
	}
	left := s.CachedInfo().State.Msgs
	consumer, err := s.OrderedConsumer(ctx, jetstream.OrderedConsumerConfig{})
	if err != nil {
		a.t.Fatal(err)
	}
	for left > 0 {
		batch, err := consumer.Fetch(int(min(left, 500)), jetstream.FetchMaxWait(5*time.Second)) //nolint:gosec // it is small
		if err != nil {
			a.t.Fatal(err)
		}
		for m := range batch.Messages() {
			left--
			if id := m.Headers().Get(nats.MsgIdHdr); id != "" {
				e := event{id: id, subject: m.Subject()}
				if err := json.Unmarshal(m.Data(), &e.payload); err != nil {
					a.t.Error(err)
				}
				all = append(all, e)
			}
		}
		if err := batch.Error(); err != nil {
			a.t.Fatal(err)
		}
	}
	return all
}

// storage compares the folder with the assets: every asset has its file, and every file has an asset, or is going to be removed.
func (a *audit) storage() {
	a.t.Helper()
	files := a.filesBelow(a.load.world.files())
	wanted := a.pairs("SELECT file_key, id::text FROM assets WHERE file_key <> '' UNION SELECT preview_key, id::text FROM assets WHERE preview_key <> ''")
	leased := a.pairs("SELECT file_key, expires_at::text FROM file_leases")
	strays := 0
	for file := range files {
		_, owned := wanted[file]
		if _, soon := leased[file]; !owned && !soon {
			a.t.Errorf("the file %s belongs to nothing, and will stay", file)
		} else if !owned {
			strays++
		}
	}
	for file, asset := range wanted {
		if !files[file] {
			a.t.Errorf("the file %s of the asset %s is gone", file, asset)
		}
	}
	a.t.Logf("%d files are stored, %d of them wait to be removed", len(files), strays)
}

func (a *audit) filesBelow(root string) map[string]bool {
	a.t.Helper()
	files := map[string]bool{}
	err := filepath.WalkDir(root, func(path string, d fs.DirEntry, err error) error {
		switch {
		case errors.Is(err, fs.ErrNotExist):
			return nil // it was removed meanwhile
		case err != nil:
			return err
		case d.IsDir() && d.Name() == ".incoming":
			return filepath.SkipDir
		case !d.IsDir():
			name, err := filepath.Rel(root, path)
			files[filepath.ToSlash(name)] = true
			return err
		}
		return nil
	})
	if err != nil {
		a.t.Fatal(err)
	}
	return files
}
