package main

import (
	"bufio"
	"context"
	"fmt"
	"strconv"
	"strings"

	"github.com/spf13/cobra"

	"meibo/provisioning"
	"meibo/provisioning/summary"
)

func (p *program) auditCommand() *cobra.Command {
	return p.group("audit", "What people did, and whether the journal is as it was written", p.auditListCommand(), p.auditVerifyCommand())
}

func (p *program) auditVerifyCommand() *cobra.Command {
	cmd := &cobra.Command{Use: "verify --tenant T", Short: "Recompute the audit chain and say whether the journal is as it was written", Args: cobra.NoArgs,
		Long: "Recompute the audit chain from all that is in a tenant's journal. It names the first entry that does not agree, and ends with status 1.\n\n" +
			"Keep the head that it prints where whoever can write to the database cannot. Given back with --head, it proves that what was written until then is what is there now."}
	tenant := tenantFlag(cmd)
	head := cmd.Flags().String("head", "", "the digest of a head that was kept: the chain must have it")
	inJSON := jsonFlag(cmd)
	return p.administrative(cmd, func(ctx context.Context, s *provisioning.Service, cmd *cobra.Command, _ []string) error {
		if *head == "" && cmd.Flags().Changed("head") {
			return misuse("--head is empty, so that nothing would be compared; give the 64 digits that were kept, or leave it out")
		}
		v, err := s.VerifyChain(ctx, *tenant, *head)
		if err != nil {
			return err
		}
		if *inJSON {
			err = printJSON(p.stdout, summary.OfVerification(v))
		} else if v.Fault == nil {
			p.printVerification(v)
		}
		if v.Fault != nil && err == nil {
			err = fmt.Errorf("the audit chain of %s is broken: %s", *tenant, v.Fault.Detail)
		}
		return err
	})
}

func (p *program) printVerification(v provisioning.Verification) {
	if v.Head.Position == 0 {
		fmt.Fprintln(p.stderr, "nothing is sealed yet; a server that runs seals what is written within seconds")
		return
	}
	fmt.Fprintf(p.stdout, "%d %s\n", v.Head.Position, v.Head.Digest)
	words := []string{fmt.Sprintf("%d entries are as they were sealed", v.Entries)}
	if !v.Since.IsZero() {
		words = append(words, fmt.Sprintf("what is before position %d is purged, and the seal of %s stands for it", v.From, moment(v.Since)))
	}
	if v.Kept != nil {
		words = append(words, fmt.Sprintf("the head that was kept is that of position %d, sealed at %s", v.Kept.Position, moment(v.Kept.At)))
	}
	if v.Unsealed > 0 {
		words = append(words, fmt.Sprintf("%d newer ones wait for their seal", v.Unsealed))
	}
	fmt.Fprintln(p.stderr, strings.Join(words, "; "))
}

func (p *program) auditListCommand() *cobra.Command {
	var o logOptions
	cmd := &cobra.Command{Use: "list --tenant T", Short: "Print what people did, and what was done to settings, tokens and keys", Args: cobra.NoArgs,
		Long: "Print what administrators and holders of API keys did, and what was done to settings, tokens, keys and connections, oldest first. " +
			"It ends with the position that it has reached: with that as --after it goes on from there."}
	f := cmd.Flags()
	f.StringVar(&o.tenant, "tenant", "", "name of the tenant")
	_ = cmd.MarkFlagRequired("tenant")
	f.StringVar(&o.Connection, "connection", "", "only this connection's")
	f.StringVar(&o.user, "user", "", "only of the user or group with this userName, displayName or id")
	f.StringVar(&o.Action, "action", "", "only create, update, disable, delete, stagedDelete or other")
	f.StringVar(&o.Outcome, "outcome", "", "only success, failure, skipped or warning")
	f.StringVar(&o.Reason, "reason", "", "only decided for this reason, by its code, such as unmasked")
	f.StringVar(&o.since, "since", "", "only from this time on")
	f.StringVar(&o.until, "until", "", "only before this time")
	after := f.Int64("after", 0, "only behind this position of the journal; without it, all that is kept")
	f.BoolVar(&o.json, "json", false, "print all of each entry, one JSON object a line")
	return p.administrative(cmd, func(ctx context.Context, s *provisioning.Service, cmd *cobra.Command, _ []string) error {
		if *after < 0 {
			return misuse("--after cannot be negative")
		}
		if !cmd.Flags().Changed("after") {
			*after = provisioning.FromTheOldest
		}
		o.after = -1
		q, err := o.query(ctx, s)
		if err != nil {
			return err
		}
		return p.printAudit(ctx, s, o, q, *after)
	})
}

// auditAtOnce is how many acts are read at a time.
const auditAtOnce = 500

func (p *program) printAudit(ctx context.Context, s *provisioning.Service, o logOptions, q provisioning.EntryQuery, at int64) error {
	out := bufio.NewWriter(p.stdout)
	lines := summary.NewNDJSONWriter(out)
	t := newTable(out, "POSITION", "TIME", "CONNECTION", "BY", "ACTION", "OUTCOME", "RESOURCE", "WHAT AND WHY")
	for more := true; more; {
		told, err := s.Audit(ctx, o.tenant, q, at, auditAtOnce)
		if err != nil {
			return err
		}
		if at > told.Head {
			return unknownPosition(o.tenant, told.Head, at)
		}
		for _, e := range told.Entries {
			view := summary.At(o.tenant, e)
			if !o.json {
				t.row(append([]string{strconv.FormatInt(e.Position, 10)}, logCells(view)...)...)
			} else if err := lines.Write(view); err != nil {
				return err
			}
		}
		at, more = told.Reached, told.Reached < told.Head
	}
	if !o.json {
		if err := t.flush(); err != nil {
			return err
		}
	}
	fmt.Fprintf(p.stderr, "position %d\n", at)
	return out.Flush()
}
