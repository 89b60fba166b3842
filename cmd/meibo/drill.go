package main

import (
	"cmp"
	"context"
	"errors"
	"fmt"
	"io"
	"net/http"
	"os"
	"path/filepath"
	"strconv"
	"strings"
	"time"

	"github.com/spf13/cobra"

	"meibo/config"
	"meibo/internal/auth"
	"meibo/internal/drill"
	"meibo/provisioning"
)

// drillOptions are the flags of `meibo drill` as they were given.
type drillOptions struct {
	url, token, tenant, dialect, writes string
	scenario, preset, key, connection   string
	users, groups, members, workers     int
	cycles                              int
	seed                                uint64
	foreign, json                       bool
}

func (p *program) drillCommand() *cobra.Command {
	var o drillOptions
	cmd := &cobra.Command{
		Use: "drill", Short: "Play Entra ID against a SCIM server and judge it", Args: cobra.NoArgs,
		Long: "Play Entra ID against a SCIM server and judge every answer; exit 1 when Entra would not be satisfied.\n" +
			"Without --url it starts a server itself on a free loopback port, on MEIBO_DATABASE_URL or else on a database that is removed afterwards.",
	}
	f := cmd.Flags()
	f.StringVar(&o.url, "url", "", "SCIM base URL of the server to judge, such as https://host/t/acme/scim/v2")
	f.StringVar(&o.token, "token", "", "its bearer token; - reads it from standard input")
	f.BoolVar(&o.foreign, "foreign", false, "the server at --url is not meibo: what only meibo promises is a warning")
	f.StringVar(&o.tenant, "tenant", "", "without --url: name of the tenant to make, one for each dialect (default drill- and the time)")
	f.StringVar(&o.scenario, "scenario", "", "play a story instead of a whole job: "+scenarioNames()+"; or all, each on a fresh connection")
	f.StringVar(&o.preset, "preset", "", "with --scenario: the preset whose rules are expected, and set on a server of the drill's own; empty for the default")
	f.StringVar(&o.key, "key", "", "with --scenario and --url: an API key of role operator, with which the drill does what a person does and looks at accounts as the host application does; - reads it from standard input")
	f.StringVar(&o.connection, "connection", "", "with --key: the connection whose token it is, where the tenant has several")
	f.IntVar(&o.users, "users", 100, "users of the company; a scenario has its own measure")
	f.IntVar(&o.groups, "groups", 10, "groups of the company; a scenario has its own measure")
	f.IntVar(&o.members, "members", 500, "memberships over all groups together; a scenario has its own measure")
	f.Uint64Var(&o.seed, "seed", 1, "decides the company and every choice of the run")
	f.StringVar(&o.dialect, "dialect", "default", "Entra's PATCH dialect: default, flag (aadOptscim062020) or both, each on a fresh connection")
	f.IntVar(&o.workers, "workers", 0, "objects in flight; 0 for Entra's measure")
	f.IntVar(&o.cycles, "cycles", 0, "incremental cycles; 0 for one")
	f.StringVar(&o.writes, "writes", "", "file for a JSON line about each answered write, with its correlation id")
	f.BoolVar(&o.json, "json", false, "print the report as JSON, one object a dialect")
	settingFlags(cmd, ownServerSettings...)
	cmd.RunE = p.action(func(cmd *cobra.Command, _ []string) error {
		if o.scenario != "" && !f.Changed("users") && !f.Changed("groups") && !f.Changed("members") {
			o.users, o.groups, o.members = 0, 0, 0
		}
		return p.drill(cmd, o)
	})
	return cmd
}

func scenarioNames() string {
	var names []string
	for _, s := range drill.Scenarios() {
		names = append(names, string(s))
	}
	return strings.Join(names, ", ")
}

// ownServerSettings are what may be said of a server that the drill starts itself.
var ownServerSettings = []string{"database_url", "allow_weak_durability", "rate_limit", "log_level"}

// target is one address to be judged, in one dialect and scenario.
type target struct {
	url, token string
	dialect    drill.Dialect
	scenario   drill.Scenario // "" for a whole job
	person     drill.Person   // nil for nobody
	host       drill.Host     // nil for nobody
}

func (p *program) drill(cmd *cobra.Command, o drillOptions) (err error) {
	src := p.source(cmd)
	if o.url != "" && len(src.Flags) > 0 {
		return misuse("--url judges a server that runs elsewhere; its settings cannot be given here")
	}
	dialects, err := o.dialects()
	if err != nil {
		return err
	}
	scenarios, err := o.scenarios()
	if err != nil {
		return err
	}
	for _, s := range scenarios {
		run := o.options()
		run.Scenario = s
		if err := run.CheckSizes(); err != nil {
			return misuse("%w", err)
		}
	}
	var writes io.Writer
	if o.writes != "" {
		file, err := os.Create(o.writes)
		if err != nil {
			return err
		}
		defer func() { err = errors.Join(err, file.Close()) }()
		writes = file
	}
	if o.url == "" {
		return p.drillOwn(cmd.Context(), src, o, dialects, scenarios, writes)
	}
	token, err := p.secret(o.token)
	if err != nil {
		return err
	}
	t := target{url: o.url, token: token, dialect: dialects[0], scenario: scenarios[0]}
	if o.key != "" {
		h, err := p.handElsewhere(o)
		if err != nil {
			return err
		}
		t.person, t.host = h, h
	}
	return p.judge(cmd.Context(), o, []target{t}, writes)
}

// handElsewhere does what a person does on a server that runs elsewhere.
func (p *program) handElsewhere(o drillOptions) (h hand, err error) {
	h = hand{connection: o.connection, client: &http.Client{Timeout: time.Minute}}
	if h.base, err = apiOf(o.url); err != nil {
		return h, err
	}
	h.key, err = p.secret(o.key)
	return h, err
}

// options are what the flags say of every run.
func (o drillOptions) options() drill.Options {
	return drill.Options{Foreign: o.foreign, Users: o.users, Groups: o.groups, Members: o.members,
		Seed: o.seed, Cycles: o.cycles, Workers: o.workers, Preset: drill.Preset(o.preset)}
}

// scenarios are those to be played; "" stands for a whole job.
func (o drillOptions) scenarios() ([]drill.Scenario, error) {
	if o.scenario != "all" {
		return []drill.Scenario{drill.Scenario(o.scenario)}, nil
	}
	if o.url != "" {
		return nil, misuse("--scenario all needs a fresh connection for each; run the drill once for each scenario, with a token of another connection")
	}
	return drill.Scenarios(), nil
}

func (o drillOptions) dialects() ([]drill.Dialect, error) {
	switch {
	case (o.url == "") != (o.token == ""):
		return nil, misuse("--url and --token go together")
	case o.url != "" && o.tenant != "":
		return nil, misuse("--tenant is for a server that the drill starts itself; leave it out or leave out --url")
	case o.url == "" && o.foreign:
		return nil, misuse("--foreign needs --url")
	case o.key != "" && (o.url == "" || o.scenario == ""):
		return nil, misuse("--key goes with --url and --scenario; a server of the drill's own needs none")
	case o.connection != "" && o.key == "":
		return nil, misuse("--connection goes with --key")
	case o.key == "-" && o.token == "-":
		return nil, misuse("--key and --token cannot both come from standard input")
	}
	switch o.dialect {
	case string(drill.Default), string(drill.Flag):
		return []drill.Dialect{drill.Dialect(o.dialect)}, nil
	case "both":
		if o.url != "" {
			return nil, misuse("--dialect both needs a fresh connection for each; run the drill twice, with a token of another tenant")
		}
		return []drill.Dialect{drill.Default, drill.Flag}, nil
	}
	return nil, misuse("--dialect cannot be %q; choose default, flag or both", o.dialect)
}

// secret is a flag's value, or standard input where that is "-": a command line is no place for
// secrets, since every process of the machine can read it.
func (p *program) secret(flag string) (string, error) {
	if flag != "-" {
		return flag, nil
	}
	text, err := io.ReadAll(io.LimitReader(p.stdin, 64<<10))
	return strings.TrimSpace(string(text)), err
}

// drillOwn judges a server that lives as long as the drill.
func (p *program) drillOwn(ctx context.Context, src config.Source, o drillOptions, dialects []drill.Dialect,
	scenarios []drill.Scenario, writes io.Writer) (err error) {
	scratch, err := os.MkdirTemp("", "meibo-drill-")
	if err != nil {
		return err
	}
	defer func() { err = errors.Join(err, os.RemoveAll(scratch)) }()
	src.Defaults = map[string]string{"database_url": "sqlite:" + filepath.Join(scratch, "drill.db"), "log_level": "warn"}
	src.Flags["listen"], src.Flags["public_url"], src.Flags["metrics_listen"] = "127.0.0.1:0", "", ""
	c, err := config.Load(src)
	if err != nil {
		return err
	}
	s, err := start(ctx, c, newLog(p.stderr, c.LogLevel), serverOptions{migrate: true})
	if err != nil {
		return err
	}
	defer func() { err = errors.Join(err, s.shutdown(ctx)) }()
	targets, err := p.freshTargets(ctx, s, o, dialects, scenarios)
	if err != nil {
		return err
	}
	return p.judge(ctx, o, targets, writes)
}

// freshTargets makes a tenant with a connection for each dialect and scenario: the same company twice in one
// tenant would be one connection taking the other's names.
func (p *program) freshTargets(ctx context.Context, s *server, o drillOptions, dialects []drill.Dialect, scenarios []drill.Scenario) ([]target, error) {
	tenant := cmp.Or(o.tenant, "drill-"+time.Now().UTC().Format("20060102-150405"))
	var out []target
	for i, scenario := range scenarios {
		for _, d := range dialects {
			name := tenant
			if len(scenarios) > 1 {
				name += "-" + strconv.Itoa(i+1)
			}
			if len(dialects) > 1 {
				name += "-" + string(d)
			}
			token, err := freshTarget(ctx, s, name, provisioning.Preset(o.preset))
			if err != nil {
				return nil, err
			}
			fmt.Fprintf(p.stderr, "dialect %s%s: tenant %s\n", d, inScenario(scenario), name)
			t := target{url: s.base + "/t/" + name + "/scim/v2", token: token, dialect: d, scenario: scenario}
			if scenario != "" {
				h, err := ownHand(ctx, s, name)
				if err != nil {
					return nil, err
				}
				t.person, t.host = h, h
			}
			out = append(out, t)
		}
	}
	return out, nil
}

func inScenario(s drill.Scenario) string {
	if s == "" {
		return ""
	}
	return ", scenario " + string(s)
}

// freshTarget makes a tenant whose connection has the rules of a preset, and a token of it.
func freshTarget(ctx context.Context, s *server, name string, preset provisioning.Preset) (string, error) {
	if _, err := s.service.CreateTenant(ctx, commandLine(name)); err != nil {
		return "", err
	}
	if settings, _ := preset.Settings(); preset != provisioning.PresetDefault { // the drill knows the presets
		draft := provisioning.SettingsDraft{Settings: settings, Expect: provisioning.AnyVersion}
		if _, _, err := s.service.ApplySettings(ctx, commandLine(name), "", draft); err != nil {
			return "", err
		}
	}
	token, hash, hint := auth.NewToken()
	_, err := s.service.CreateCredential(ctx, commandLine(name), "", provisioning.NewCredential{Hash: hash, Hint: hint})
	return token, err
}

// ownHand does what a person does on a server of the drill's own.
func ownHand(ctx context.Context, s *server, tenant string) (hand, error) {
	key, hash, hint := auth.NewKey()
	_, err := s.service.CreateKey(ctx, commandLine(tenant), provisioning.NewAPIKey{Holder: "drill", Role: provisioning.KeyOperator, Hash: hash, Hint: hint})
	return hand{base: s.base + "/api/v1", key: key, client: &http.Client{Timeout: time.Minute}}, err
}

// judge plays Entra ID against each target and prints its reports.
func (p *program) judge(ctx context.Context, o drillOptions, targets []target, writes io.Writer) error {
	satisfied := true
	for _, t := range targets {
		run := o.options()
		run.BaseURL, run.Token, run.Dialect, run.Scenario = t.url, t.token, t.dialect, t.scenario
		run.Person, run.Host = t.person, t.host
		run.Progress, run.WritesTo = p.stderr, writes
		report, err := drill.Run(ctx, run)
		if err != nil {
			return err
		}
		if err := p.printReport(report, o.json); err != nil {
			return err
		}
		satisfied = satisfied && report.OK()
	}
	if !satisfied {
		return errors.New("the server is not as Entra ID needs it; the report says why")
	}
	return nil
}

func (p *program) printReport(r *drill.Report, asJSON bool) error {
	if asJSON {
		return printJSON(p.stdout, r)
	}
	return r.WriteText(p.stdout)
}
