package main

import (
	"context"
	"errors"
	"fmt"
	"strings"

	"github.com/spf13/cobra"
	"go.uber.org/zap"

	"meibo/config"
	"meibo/store"
)

func (p *program) migrateCommand() *cobra.Command {
	cmd := &cobra.Command{
		Use: "migrate", Args: cobra.NoArgs,
		Short: "Bring the database to this version's schema",
		Long: "Bring the database to this version's schema. On PostgreSQL run it once before a new version's servers start; " +
			"several at a time do no harm. `meibo serve` does it by itself on SQLite.",
		RunE: p.action(func(cmd *cobra.Command, _ []string) error {
			c, err := p.configuration(cmd)
			if err != nil {
				return err
			}
			return p.migrate(cmd.Context(), c)
		}),
	}
	settingFlags(cmd, "database_url", "allow_weak_durability")
	return cmd
}

func (p *program) migrate(ctx context.Context, c config.Config) (err error) {
	parts, err := build(ctx, untraced(c), zap.NewNop())
	if err != nil {
		return err
	}
	defer func() { err = errors.Join(err, parts.close(ctx)) }()
	if err := parts.store.Migrate(ctx); err != nil {
		return err
	}
	fmt.Fprintln(p.stderr, "the schema of", config.RedactURL(c.DatabaseURL), "is up to date")
	return nil
}

// requireSchema refuses a database whose schema is not this version's.
func requireSchema(ctx context.Context, st *store.Store) error {
	current, err := st.SchemaCurrent(ctx)
	if err != nil {
		return err
	}
	if !current {
		return errors.New("the database does not have this version's schema; run `meibo migrate` first")
	}
	return nil
}

func onSQLite(c config.Config) bool { return strings.HasPrefix(c.DatabaseURL, "sqlite:") }
