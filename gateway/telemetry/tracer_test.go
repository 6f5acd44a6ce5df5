package telemetry

import (
	"context"
	"errors"
	"net/http"
	"testing"
	"time"

	"gatehouse/config"

	sdk "go.opentelemetry.io/otel/sdk/trace"
	"go.opentelemetry.io/otel/sdk/trace/tracetest"
)

func open(t *testing.T, sample config.Share) (*Tracer, *tracetest.InMemoryExporter) {
	t.Helper()
	kept := tracetest.NewInMemoryExporter()
	tracer := newTracer(&config.Traces{Sample: sample}, kept, "gw-0")
	tracer.Start()
	return tracer, kept
}

// What is switched off costs nothing (DESIGN §9).
func TestOffCostsNothing(t *testing.T) {
	var off *Tracer
	now, header := time.Now(), http.Header{"Traceparent": {"00-4bf92f3577b34da6a3ce929d0e0e4736-00f067aa0ba902b7-01"}}
	if n := testing.AllocsPerRun(100, func() {
		if off.Begin(now, header) != nil {
			t.Error("a trace")
		}
	}); n != 0 {
		t.Errorf("%v allocations", n)
	}
	if New(nil, nil, "", nil) != nil {
		t.Error("a tracer")
	}
}

// A client that asks to be sampled is not sampled more than others.
func TestSample(t *testing.T) {
	tracer, _ := open(t, 0.5)
	defer tracer.Close()
	n := 0
	for range 2000 {
		if tr := tracer.Begin(time.Now(), http.Header{"Traceparent": {"00-4bf92f3577b34da6a3ce929d0e0e4736-00f067aa0ba902b7-01"}}); tr != nil {
			n++
			tr.End(Outcome{})
		}
	}
	if n < 800 || n > 1200 {
		t.Errorf("%d of 2000", n)
	}
}

func TestStepsAreBounded(t *testing.T) {
	tracer, kept := open(t, 1)
	tr := tracer.Begin(time.Now(), nil)
	outer := tr.Step("outer")
	for range 3 * maxSteps {
		tr.Step("entry")()
	}
	outer()
	tr.End(Outcome{Status: 500, Code: "internal"})
	if err := tracer.provider.ForceFlush(t.Context()); err != nil {
		t.Fatal(err)
	}
	spans := kept.GetSpans()
	if len(spans) != maxSteps+1 {
		t.Fatalf("%d spans", len(spans))
	}
	root := spans[len(spans)-1]
	if root.Parent.IsValid() || root.SpanContext.TraceID().String() != tr.ID() || root.Status.Description != "internal" {
		t.Errorf("root %+v", root)
	}
	if spans[0].Parent.SpanID() != spans[len(spans)-2].SpanContext.SpanID() {
		t.Error("an entry does not lie within its step")
	}
	if err := tracer.Close(); err != nil {
		t.Error(err)
	}
	if tracer.Begin(time.Now(), nil) == nil {
		t.Error("a request that outlives its snapshot fails") // its spans are dropped
	}
}

type broken struct{ *tracetest.InMemoryExporter }

var errAway = errors.New("away")

func (broken) ExportSpans(context.Context, []sdk.ReadOnlySpan) error {
	return errAway
}

func TestFailureIsTold(t *testing.T) {
	var told error
	w := watched{broken{}, func(err error) { told = err }}
	if err := w.ExportSpans(t.Context(), nil); err != nil || !errors.Is(told, errAway) {
		t.Errorf("%v, told %v", err, told)
	}
}
