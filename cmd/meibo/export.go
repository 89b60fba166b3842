package main

import (
	"context"
	"errors"
	"fmt"
	"io"
	"io/fs"
	"os"
	"path/filepath"

	"github.com/spf13/cobra"

	"meibo/provisioning"
	"meibo/provisioning/transfer"
	"meibo/scim"
)

func (p *program) exportCommand() *cobra.Command {
	cmd := &cobra.Command{
		Use: "export --tenant T", Short: "Write users and groups to a file, with everything that is known of them", Args: cobra.NoArgs,
		Long: "Write users and groups to a file, with everything that is known of them: attributes, owner, state, role, memberships, overrides. " +
			"`meibo import` reads it back. The file holds personal data: it is made for its owner's eyes alone.",
	}
	tenant := tenantFlag(cmd)
	types := cmd.Flags().String("type", "all", "what to write: users, groups or all")
	format := cmd.Flags().String("format", "csv", "csv (for spreadsheets) or ndjson (one JSON object a line)")
	output := cmd.Flags().String("output", "-", "file to make, which must not be there yet; - for standard output")
	filter := cmd.Flags().String("filter", "", "SCIM filter over what clients asserted, such as 'userName sw \"a\"'")
	return p.administrative(cmd, func(ctx context.Context, s *provisioning.Service, _ *cobra.Command, _ []string) error {
		o := transfer.ExportOptions{Format: transfer.Format(*format), Filter: *filter}
		var err error
		if o.Types, err = typesOf(*types); err != nil {
			return err
		}
		if o.Format != transfer.CSV && o.Format != transfer.NDJSON {
			return misuse("--format %q: choose csv or ndjson", *format)
		}
		bar := newProgress(p.stderr, "exported")
		o.Progress = func(rows int) { bar.at(rows, -1) }
		rows := 0
		err = p.toFile(*output, func(w io.Writer) error {
			rows, err = transfer.Export(ctx, s, *tenant, w, o)
			return err
		})
		if err != nil {
			return err
		}
		bar.end(rows)
		return nil
	})
}

func typesOf(text string) ([]scim.ResourceType, error) {
	switch text {
	case "all":
		return []scim.ResourceType{scim.User, scim.Group}, nil
	case "users":
		return []scim.ResourceType{scim.User}, nil
	case "groups":
		return []scim.ResourceType{scim.Group}, nil
	default:
		return nil, misuse("--type %q: choose users, groups or all", text)
	}
}

// toFile has fn write a file that appears when it is complete, or standard output for "-".
func (p *program) toFile(name string, fn func(io.Writer) error) (err error) {
	if name == "-" {
		return fn(p.stdout)
	}
	if _, err := os.Lstat(name); err == nil {
		return fmt.Errorf("%s is there already; name another file, or remove it", name)
	} else if !errors.Is(err, fs.ErrNotExist) {
		return err
	}
	f, err := os.CreateTemp(filepath.Dir(name), "."+filepath.Base(name)+".*")
	if err != nil {
		return err
	}
	defer func() {
		if err != nil {
			err = errors.Join(err, os.Remove(f.Name()))
		}
	}()
	if err := errors.Join(fn(f), f.Sync(), f.Close()); err != nil {
		return err
	}
	return os.Rename(f.Name(), name)
}
