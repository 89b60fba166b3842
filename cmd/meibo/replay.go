package main

import (
	"context"
	"encoding/json"
	"errors"
	"fmt"
	"io"
	"os"
	"slices"
	"strconv"
	"time"

	"github.com/google/uuid"
	"github.com/spf13/cobra"

	"meibo/config"
	"meibo/internal/capture"
	"meibo/internal/replay"
	"meibo/internal/seal"
	"meibo/provisioning"
	"meibo/provisioning/settings"
	"meibo/web/api"
)

// errNoSecret is what whoever asks for captured requests is told where there is no key that would open them.
var errNoSecret = errors.New("captured requests are sealed, and there is no secret_key to open them: run this with the server's configuration (--config, MEIBO_SECRET_KEY); " +
	"a server that has none, or whose capture_retention is 0, captures nothing")

// errOtherSecret is what they are told where there is another one.
var errOtherSecret = errors.New("the captured request was sealed with another secret_key than the configuration has")

// capturing gives a command what it needs to read captured requests.
func (p *program) capturing(cmd *cobra.Command, fn func(context.Context, config.Config, *parts, []string) error) *cobra.Command {
	settingFlags(cmd, "database_url", "allow_weak_durability")
	cmd.RunE = p.action(func(cmd *cobra.Command, args []string) error {
		return p.withParts(cmd, func(ctx context.Context, c config.Config, parts *parts) error {
			if parts.capture == nil {
				return errNoSecret
			}
			err := fn(ctx, c, parts, args)
			if errors.Is(err, seal.ErrOpen) {
				return errOtherSecret
			}
			return err
		})
	})
	return cmd
}

func (p *program) logCaptureCommand() *cobra.Command {
	cmd := &cobra.Command{
		Use: "capture ENTRY|CORRELATION --tenant T", Short: "Print a request as it was sent, and its answer", Args: cobra.ExactArgs(1),
		Long: "Print the request of an entry, or with a correlation id, as it was sent, and its answer, without secrets. Requests that wrote or failed are kept for capture_retention, " +
			"sealed with the secret_key; of a connection that is debugged all. Reads have no entry: `meibo log captures` lists them.",
	}
	tenant, asJSON := tenantFlag(cmd), jsonFlag(cmd)
	return p.capturing(cmd, func(ctx context.Context, _ config.Config, parts *parts, args []string) error {
		correlation := args[0]
		e, err := entryOf(ctx, parts.service, *tenant, args[0])
		if err == nil {
			correlation = e.Correlation
		} else if provisioning.KindOf(err) != provisioning.NotFound {
			return err
		}
		noEntry := err
		x, err := parts.capture.Exchange(ctx, *tenant, correlation)
		switch {
		case err != nil && provisioning.KindOf(err) == provisioning.NotFound && noEntry != nil:
			return noEntry
		case err != nil && provisioning.KindOf(err) == provisioning.NotFound:
			return replay.ErrNotCaptured
		case err != nil:
			return err
		case *asJSON:
			return printJSON(p.stdout, api.CaptureOf(x))
		}
		printExchange(p.stdout, x)
		return nil
	})
}

func (p *program) logCapturesCommand() *cobra.Command {
	cmd := &cobra.Command{
		Use: "captures --tenant T", Short: "List captured requests, latest first", Args: cobra.NoArgs,
		Long: "List captured requests, latest first: those that wrote or failed, and of a connection that is debugged all. Reads have no entry in the log; `meibo log capture CORRELATION` prints one.",
	}
	tenant, asJSON := tenantFlag(cmd), jsonFlag(cmd)
	connection := cmd.Flags().String("connection", "", "only this connection's")
	since := cmd.Flags().String("since", "", "only from this time on: an instant, a date, or a span such as 2h")
	until := cmd.Flags().String("until", "", "only before this time")
	limit := cmd.Flags().Int("limit", defaultEntries, "at most so many")
	return p.capturing(cmd, func(ctx context.Context, _ config.Config, parts *parts, _ []string) (err error) {
		if *limit < 1 {
			return misuse("--limit is 1 at least")
		}
		q := provisioning.CaptureQuery{}
		if q.Since, err = instant(*since, parts.service.Now(), back); err != nil {
			return err
		}
		if q.Until, err = instant(*until, parts.service.Now(), back); err != nil {
			return err
		}
		connections, err := parts.service.Connections(ctx, *tenant)
		if err != nil {
			return err
		}
		names := map[int64]string{}
		for _, c := range connections {
			names[c.ID] = c.Name
		}
		if *connection != "" {
			c, err := parts.service.Connection(ctx, *tenant, *connection)
			if err != nil {
				return err
			}
			q.Connection = c.ID
		}
		all, err := capturesOf(ctx, parts.capture, *tenant, q, *limit)
		if err != nil {
			return err
		}
		return p.printCaptures(all, names, *asJSON)
	})
}

// capturesOf reads the latest captured requests of a query, page by page.
func capturesOf(ctx context.Context, recorder *capture.Recorder, tenant string, q provisioning.CaptureQuery, limit int) (all []capture.Exchange, err error) {
	const atOnce = 100
	for {
		q.Limit = min(limit-len(all), atOnce)
		page, err := recorder.Exchanges(ctx, tenant, q)
		all = append(all, page.Exchanges...)
		if q.Before = page.Next; err != nil || q.Before == "" || len(all) == limit {
			return all, err
		}
	}
}

func (p *program) printCaptures(all []capture.Exchange, names map[int64]string, asJSON bool) error {
	t := newTable(p.stdout, "TIME", "CONNECTION", "METHOD", "STATUS", "TARGET", "CORRELATION")
	for _, x := range all {
		v := api.CapturedRequestOf(x, names[x.Connection])
		if asJSON {
			if err := printJSON(p.stdout, v); err != nil {
				return err
			}
			continue
		}
		status, target := strconv.Itoa(v.Status), v.Target
		if v.Sealed {
			status, target = "", "(sealed with another secret_key)"
		}
		t.row(v.At.UTC().Format(time.DateTime), v.Connection, v.Method, status, target, v.CorrelationID)
	}
	if asJSON {
		return nil
	}
	return t.flush()
}

// entryOf reads an entry of the log by its id.
func entryOf(ctx context.Context, s *provisioning.Service, tenant, id string) (provisioning.Entry, error) {
	if err := uuid.Validate(id); err != nil {
		return provisioning.Entry{}, misuse("%q is no id of an entry; `meibo log --json` shows them", id)
	}
	page, err := s.EntryPage(ctx, tenant, provisioning.EntryQuery{ID: id, Limit: 1})
	if err != nil {
		return provisioning.Entry{}, err
	}
	if len(page.Entries) == 0 {
		return provisioning.Entry{}, &provisioning.Error{Kind: provisioning.NotFound, Detail: fmt.Sprintf("the log of %s has no entry %s", tenant, id)}
	}
	return page.Entries[0], nil
}

// printExchange prints a request and its answer nearly as they went over the wire.
func printExchange(w io.Writer, x capture.Exchange) {
	fmt.Fprintf(w, "%s  %s, %v\n\n", moment(x.At), x.Correlation, x.Duration)
	fmt.Fprintf(w, "%s %s\n", printable(x.Method), printable(x.Target))
	printMessage(w, x.Headers, x.Request)
	fmt.Fprintf(w, "%d\n", x.Status)
	printMessage(w, x.Answered, x.Answer)
}

func printMessage(w io.Writer, headers map[string]string, b capture.Body) {
	for _, name := range sortedKeys(headers) {
		fmt.Fprintf(w, "%s: %s\n", name, printable(headers[name]))
	}
	if len(b.Text) > 0 {
		fmt.Fprintf(w, "\n%s\n", printable(string(b.Text)))
	}
	if b.Note != "" {
		fmt.Fprintf(w, "(%s)\n", b.Note)
	}
	fmt.Fprintln(w)
}

func (p *program) logReplayCommand() *cobra.Command {
	cmd := &cobra.Command{
		Use: "replay ENTRY --tenant T [--under then|now|FILE.yaml]", Short: "Evaluate the request of an entry again, and show what would differ", Args: cobra.ExactArgs(1),
		Long: "Evaluate the captured request of an entry again, by the same code and against the tenant as it was, and show what would come out otherwise. Nothing is written.\n\n" +
			"--under says by which settings: those that decided then, those in force now, or those in a file.\n" +
			fmt.Sprintf("The exit status is 0 where nothing differs and %d where something does.", exitDiffer),
	}
	tenant, asJSON := tenantFlag(cmd), jsonFlag(cmd)
	under := cmd.Flags().String("under", "then", "then, now, or a file with settings")
	return p.capturing(cmd, func(ctx context.Context, c config.Config, parts *parts, args []string) error {
		e, err := entryOf(ctx, parts.service, *tenant, args[0])
		if err != nil {
			return err
		}
		choice, err := readUnder(*under)
		if err != nil {
			return err
		}
		r, err := parts.replayer(c.PublicURL).Replay(ctx, *tenant, e.ID, choice)
		if err != nil {
			return err
		}
		if *asJSON {
			err = printJSON(p.stdout, api.ReplayOf(r))
		} else {
			printReplay(p.stdout, r)
		}
		if err == nil && !r.Same() {
			err = errDiffer
		}
		return err
	})
}

func readUnder(under string) (replay.Under, error) {
	switch under {
	case "then":
		return replay.Under{}, nil
	case "now":
		return replay.Under{Now: true}, nil
	}
	document, err := os.ReadFile(under)
	if err != nil {
		return replay.Under{}, misuse("--under is then, now, or a file with settings: %v", err)
	}
	draft, err := settings.Parse(document)
	if err != nil {
		return replay.Under{}, fmt.Errorf("%s: %w", under, err)
	}
	return replay.Under{Draft: &draft}, nil
}

func printReplay(w io.Writer, r replay.Result) {
	if r.Same() {
		fmt.Fprintf(w, "Under the settings of %s it is answered %d and decided as it was recorded.\n", underWords[r.Settings], r.Status.Replayed)
		return
	}
	fmt.Fprintf(w, "Under the settings of %s:\n", underWords[r.Settings])
	if r.Status.Recorded != r.Status.Replayed {
		fmt.Fprintf(w, "  status: %d, now %d\n", r.Status.Recorded, r.Status.Replayed)
	}
	for _, d := range r.Answer {
		fmt.Fprintf(w, "  answer %s: %s, now %s\n", printable(d.Path), shown(d.Recorded), shown(d.Replayed))
	}
	for _, d := range r.Entries {
		fmt.Fprintf(w, "  entry %d, %s: %s, now %s\n", d.Entry+1, printable(d.Path), shown(d.Recorded), shown(d.Replayed))
	}
}

var underWords = map[string]string{"then": "then", "now": "now", "draft": "the file"}

// shown is a value as JSON; what is nothing is said to be.
func shown(v any) string {
	if raw, ok := v.(json.RawMessage); ok && raw == nil || v == nil {
		return "nothing"
	}
	data, err := json.Marshal(v)
	if err != nil {
		return fmt.Sprint(v)
	}
	return printable(string(data))
}

func sortedKeys[V any](m map[string]V) []string {
	keys := make([]string, 0, len(m))
	for k := range m {
		keys = append(keys, k)
	}
	slices.Sort(keys)
	return keys
}
