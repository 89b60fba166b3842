package main

import (
	"context"
	"crypto/hkdf"
	"crypto/rand"
	"crypto/sha256"
	"errors"
	"fmt"
	"io"
	"net/url"
	"os"
	"runtime"
	"strings"

	"github.com/spf13/cobra"

	"meibo/config"
	"meibo/internal/supportpack"
)

// packOptions are the flags of `meibo support-pack` as they were given.
type packOptions struct{ tenant, user, entry, since, out string }

func (p *program) supportPackCommand() *cobra.Command {
	var o packOptions
	cmd := &cobra.Command{
		Use: "support-pack --tenant T --user USER|--entry ID --out FILE", Short: "Put one case into one file for somebody else, without personal data", Args: cobra.NoArgs,
		Long: "Put one case into one file for somebody else: what the log has of a person, a group or a request, why it came so, the requests as they were sent, and the settings.\n\n" +
			"Names, addresses and ids are replaced, each everywhere by the same; secrets are not in it. docs/support.md says more.",
	}
	f := cmd.Flags()
	f.StringVar(&o.tenant, "tenant", "", "name of the tenant")
	f.StringVar(&o.user, "user", "", "user or group: id, userName, displayName, mail address or externalId")
	f.StringVar(&o.entry, "entry", "", "id of an entry of the log")
	f.StringVar(&o.since, "since", "7d", "how far back: an instant, a date, or a span such as 7d")
	f.StringVar(&o.out, "out", "", "file to write, which must not be there yet; - for standard output")
	cmd.MarkFlagsOneRequired("user", "entry")
	cmd.MarkFlagsMutuallyExclusive("user", "entry")
	for _, required := range []string{"tenant", "out"} {
		_ = cmd.MarkFlagRequired(required)
	}
	cmd.AddCommand(p.showPackCommand())
	settingFlags(cmd, "database_url", "allow_weak_durability")
	cmd.RunE = p.action(func(cmd *cobra.Command, _ []string) error {
		return p.withParts(cmd, func(ctx context.Context, c config.Config, parts *parts) error { return p.makePack(ctx, c, parts, o) })
	})
	return cmd
}

func (p *program) makePack(ctx context.Context, c config.Config, parts *parts, o packOptions) error {
	since, err := instant(o.since, parts.service.Now(), back)
	if err != nil {
		return err
	}
	key, err := packKey(c)
	if err != nil {
		return err
	}
	options := supportpack.Options{Service: parts.service, Key: key, Server: supportpack.Server{Meibo: version, Go: runtime.Version(), Database: databaseKind(c)}}
	if parts.capture != nil {
		options.Exchange = parts.capture.Exchange
	}
	pack, err := supportpack.Make(ctx, options, supportpack.Query{Tenant: o.tenant, Entry: o.entry, User: o.user, Since: since})
	if err != nil {
		return err
	}
	file, err := pack.Encode(secretsOf(c))
	if err != nil {
		return err
	}
	if err := p.writeNew(o.out, file); err != nil {
		return err
	}
	fmt.Fprintf(p.stderr, "%s\n%d entries, %d requests; `meibo support-pack show %s` prints it. Look it through before you hand it on.\n",
		printable(pack.Cause.Sentence), len(pack.Entries), len(pack.Requests), o.out)
	for _, note := range pack.Notes {
		fmt.Fprintln(p.stderr, "note:", printable(note))
	}
	return nil
}

// writeNew writes a file that only its owner can read, and never over another one.
func (p *program) writeNew(name string, data []byte) error {
	if name == "-" {
		_, err := p.stdout.Write(data)
		return err
	}
	f, err := os.OpenFile(name, os.O_CREATE|os.O_EXCL|os.O_WRONLY, 0o600)
	if err != nil {
		return err
	}
	_, err = f.Write(data)
	if err = errors.Join(err, f.Close()); err != nil {
		err = errors.Join(err, os.Remove(name)) // half a pack is none
	}
	return err
}

// packKey is what pseudonyms hang on: with a secret_key all packs call somebody the same, without one each does otherwise.
func packKey(c config.Config) ([]byte, error) {
	if c.SecretKey != "" {
		return hkdf.Key(sha256.New, []byte(c.SecretKey), nil, "meibo support pack", 32)
	}
	key := make([]byte, 32)
	_, err := rand.Read(key)
	return key, err
}

func databaseKind(c config.Config) string {
	if strings.HasPrefix(c.DatabaseURL, "sqlite:") {
		return "sqlite"
	}
	return "postgresql"
}

// secretsOf are what of a configuration nobody else may see.
func secretsOf(c config.Config) []string {
	secrets := []string{c.SecretKey, c.ImpactSecret, c.DatabaseURL}
	if u, err := url.Parse(c.DatabaseURL); err == nil && u.User != nil {
		password, _ := u.User.Password()
		secrets = append(secrets, password)
	}
	return secrets
}

func (p *program) showPackCommand() *cobra.Command {
	cmd := &cobra.Command{
		Use: "show FILE", Short: "Print a support pack for a person: the cause first, then why, then the requests; - reads standard input", Args: cobra.ExactArgs(1),
	}
	asJSON := jsonFlag(cmd)
	cmd.RunE = p.action(func(_ *cobra.Command, args []string) error {
		data, err := p.readAll(args[0])
		if err != nil {
			return err
		}
		pack, err := supportpack.Decode(data)
		switch {
		case err != nil:
			return err
		case *asJSON:
			return printJSON(p.stdout, pack)
		default:
			return supportpack.Show(p.stdout, pack)
		}
	})
	return cmd
}

func (p *program) readAll(name string) ([]byte, error) {
	if name == "-" {
		return io.ReadAll(p.stdin)
	}
	return os.ReadFile(name)
}
