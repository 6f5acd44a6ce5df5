// Package telemetry traces requests with OpenTelemetry: how long each step took
// and how it ended, and nothing about whom it concerned.
package telemetry

import (
	"context"
	"errors"
	"math/rand/v2"
	"net/http"
	"time"

	"gatehouse/config"

	"go.opentelemetry.io/otel/attribute"
	"go.opentelemetry.io/otel/codes"
	"go.opentelemetry.io/otel/exporters/otlp/otlptrace"
	"go.opentelemetry.io/otel/propagation"
	"go.opentelemetry.io/otel/sdk/resource"
	sdk "go.opentelemetry.io/otel/sdk/trace"
	"go.opentelemetry.io/otel/trace"
)

// maxSteps bounds the spans of one request: a batch may have a thousand entries.
const maxSteps = 256

// shutdownTime is how long the last spans may take to the collector.
const shutdownTime = 3 * time.Second

// Tracer makes the traces of a share of all requests. A nil Tracer makes none.
type Tracer struct {
	exporter sdk.SpanExporter
	about    *resource.Resource
	sample   float64
	link     bool
	provider *sdk.TracerProvider // nil before Start
	tracer   trace.Tracer
}

// New prepares to send to the collector of a configuration, or to nothing where it
// names none. client carries the spans; failed is told when they are not taken, and the
// spans are dropped then: nothing waits for a collector.
func New(c *config.Traces, client *http.Client, instance string, failed func(error)) *Tracer {
	if c == nil {
		return nil
	}
	exporter := otlptrace.NewUnstarted(&carrier{c.Parsed.String(), client})
	return newTracer(c, watched{exporter, failed}, instance)
}

func newTracer(c *config.Traces, exporter sdk.SpanExporter, instance string) *Tracer {
	about := []attribute.KeyValue{attribute.String("service.name", "gatehouse")}
	if instance != "" {
		about = append(about, attribute.String("service.instance.id", instance))
	}
	return &Tracer{exporter: exporter, about: resource.NewSchemaless(about...), sample: float64(c.Sample), link: c.LinkClients}
}

// Start begins to send in the background; Close ends it.
func (t *Tracer) Start() {
	if t == nil {
		return
	}
	t.provider = sdk.NewTracerProvider(sdk.WithSampler(sdk.AlwaysSample()), sdk.WithResource(t.about), sdk.WithBatcher(t.exporter))
	t.tracer = t.provider.Tracer("gatehouse")
}

// Close sends what is left, for a moment.
func (t *Tracer) Close() error {
	if t == nil || t.provider == nil {
		return nil
	}
	ctx, cancel := context.WithTimeout(context.Background(), shutdownTime)
	defer cancel()
	return t.provider.Shutdown(ctx)
}

// Begin begins the trace of a request, or returns nil for one that is not in the
// sample. Of the request's headers at most a link is made: who may name the trace,
// or have itself sampled, could join and flood what operators look at (G-05).
func (t *Tracer) Begin(start time.Time, header http.Header) *Trace {
	if t == nil || t.provider == nil || rand.Float64() >= t.sample {
		return nil
	}
	options := []trace.SpanStartOption{trace.WithTimestamp(start), trace.WithSpanKind(trace.SpanKindServer), trace.WithNewRoot()}
	if t.link {
		named := propagation.TraceContext{}.Extract(context.Background(), propagation.HeaderCarrier{"Traceparent": header["Traceparent"]})
		if s := trace.SpanContextFromContext(named); s.IsValid() {
			options = append(options, trace.WithLinks(trace.Link{SpanContext: s}))
		}
	}
	ctx, root := t.tracer.Start(context.Background(), "request", options...)
	return &Trace{tracer: t.tracer, ctx: ctx, root: root}
}

// Trace is that of one request, used by its goroutine alone.
type Trace struct {
	tracer trace.Tracer
	ctx    context.Context // of the step that is under way
	root   trace.Span
	steps  int
}

// ID is the trace's own.
func (t *Trace) ID() string { return t.root.SpanContext().TraceID().String() }

// Step begins a step within the one that is under way, and returns its end.
func (t *Trace) Step(name string) (end func()) {
	if t.steps++; t.steps > maxSteps {
		return func() {}
	}
	outer := t.ctx
	ctx, span := t.tracer.Start(outer, name)
	t.ctx = ctx
	return func() {
		span.End()
		t.ctx = outer
	}
}

// Outcome is all that a trace tells of its request: words that the gateway chose.
type Outcome struct {
	Request           string // id, as in the answer and the audit trail
	Method            string
	Interaction, Type string // of FHIR; empty where the request was not understood
	Status            int
	Code              string // stable, of docs/errors.md
}

// End ends the trace.
func (t *Trace) End(o Outcome) {
	name := o.Interaction
	if name == "" {
		name = "none"
	}
	t.root.SetName(name)
	t.root.SetAttributes(attribute.String("gatehouse.request", o.Request), attribute.String("http.request.method", method(o.Method)),
		attribute.String("gatehouse.interaction", name), attribute.String("gatehouse.type", o.Type),
		attribute.Int("http.response.status_code", o.Status), attribute.String("gatehouse.code", o.Code))
	if t.steps > maxSteps {
		t.root.SetAttributes(attribute.Int("gatehouse.steps_left_out", t.steps-maxSteps))
	}
	if o.Status >= http.StatusInternalServerError {
		t.root.SetStatus(codes.Error, o.Code)
	}
	t.root.End()
}

// method is one of HTTP's: a client may send any word for one.
func method(name string) string {
	switch name {
	case http.MethodGet, http.MethodHead, http.MethodPost, http.MethodPut, http.MethodPatch, http.MethodDelete, http.MethodOptions:
		return name
	}
	return "_OTHER"
}

// watched tells of what the collector does not take.
type watched struct {
	sdk.SpanExporter
	failed func(error)
}

func (w watched) ExportSpans(ctx context.Context, spans []sdk.ReadOnlySpan) error {
	if err := w.SpanExporter.ExportSpans(ctx, spans); err != nil && !errors.Is(err, context.Canceled) {
		w.failed(err)
	}
	return nil // the SDK would write it to the standard log
}
