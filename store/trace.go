package store

import (
	"context"
	"errors"
	"strings"

	"go.opentelemetry.io/otel/attribute"
	"go.opentelemetry.io/otel/codes"
	"go.opentelemetry.io/otel/trace"

	"meibo/provisioning"
	"meibo/scim"
)

// Spans, with a Tracer in the Options: one of each View and Update, below it one of each statement.
// They say what was done to which table, how long it took and how it ended; never the text of a
// statement, an argument or the text of an error. Without a Tracer nothing of this file runs.

// traces reports whether spans are made: not without a Tracer, nor where the caller's own span is not
// recorded, since these would be none either.
func (s *Store) traces(ctx context.Context) bool {
	if s.options.Tracer == nil {
		return false
	}
	caller := trace.SpanContextFromContext(ctx)
	return caller.IsSampled() || !caller.IsValid()
}

// tracedUnit runs a unit of work in a span of its own.
func (s *Store) tracedUnit(ctx context.Context, name, tenant string, fn func(context.Context) error) error {
	ctx, span := s.options.Tracer.Start(ctx, "store "+name, trace.WithAttributes(s.system(), attribute.String("meibo.tenant", tenant)))
	defer span.End() // a panic of fn passes
	err := fn(ctx)
	conclude(span, err)
	return err
}

// traced runs one statement in a span, named after what it does.
func (x *session) traced(text string, fn func() error) error {
	verb, table := operation(text)
	_, span := x.store.options.Tracer.Start(x.ctx, strings.TrimSpace(verb+" "+table), trace.WithSpanKind(trace.SpanKindClient),
		trace.WithAttributes(x.store.system(), attribute.String("db.operation.name", verb), attribute.String("db.collection.name", table)))
	defer span.End()
	err := fn()
	conclude(span, err)
	return err
}

func (s *Store) system() attribute.KeyValue {
	if s.dialect.postgres {
		return attribute.String("db.system.name", "postgresql")
	}
	return attribute.String("db.system.name", "sqlite")
}

// rerun tells that a unit of work was overtaken and is about to run again, or to be given up.
func (s *Store) rerun(ctx context.Context) {
	s.options.Overtaken()
	s.mark(ctx, "overtaken")
}

// mark notes a moment in the unit of work's span.
func (s *Store) mark(ctx context.Context, event string) {
	if s.traces(ctx) {
		trace.SpanFromContext(ctx).AddEvent(event)
	}
}

// conclude gives a span its end: an error status for what is not the client's doing, and a word of
// ours for any error. Texts of errors may hold values.
func conclude(span trace.Span, err error) {
	if err == nil {
		return
	}
	name := errorName(err)
	span.SetAttributes(attribute.String("error.type", name))
	if name == provisioning.Internal.String() || name == provisioning.Unavailable.String() {
		span.SetStatus(codes.Error, name)
	}
}

// errorName is the word for an error: the kind of the core's, or what else it stands for.
func errorName(err error) string {
	var refused *scim.Error
	switch {
	case errors.Is(err, errOvertaken):
		return "overtaken"
	case errors.Is(err, context.Canceled):
		return "canceled"
	case errors.Is(err, context.DeadlineExceeded):
		return provisioning.Unavailable.String()
	case errors.As(err, &refused):
		return provisioning.Invalid.String()
	default:
		return provisioning.KindOf(err).String()
	}
}

// queue is the table that each entry leaves a row in on its way: no statement is about it, but the
// follower's.
const queue = "pending"

// operation is what a statement of this package does to which table: the verb and table of its
// first write, else of its first select; "with" counts as what it holds.
func operation(text string) (verb, table string) {
	words := strings.Fields(text)
	for i, w := range words {
		verb, table = strings.TrimLeft(w, "("), word(words, i+2)
		switch {
		case verb == "insert" && word(words, i+1) == "into", verb == "delete" && word(words, i+1) == "from":
		case verb == "update" && table == "set":
			table = word(words, i+1)
		default:
			continue
		}
		if table != queue {
			return verb, table
		}
	}
	for i, w := range words {
		if from := word(words, i+1); (w == "from" || w == "join") && !strings.Contains(from, "(") && from != "lateral" {
			return "select", from
		}
	}
	return "select", ""
}

func word(words []string, i int) string {
	if i < len(words) {
		return words[i]
	}
	return ""
}
