package gateway

import (
	"time"

	"gatehouse/config"
	"gatehouse/gateway/telemetry"
	"gatehouse/gateway/upstream"

	"go.uber.org/zap"
)

// buildTracer connects the snapshot to the collector of traces, if there is one.
func (s *snapshot) buildTracer(log *zap.Logger) error {
	t := s.cfg.Telemetry.Traces
	if t == nil {
		return nil
	}
	auth := config.UpstreamAuth{Type: "none"}
	if t.TokenFile != "" {
		auth = config.UpstreamAuth{Type: "bearer", TokenFile: t.TokenFile}
	}
	client, err := upstream.NewClient(config.Upstream{URL: t.Endpoint, Parsed: t.Parsed, Auth: auth, CAFile: t.CAFile,
		Timeout: config.Duration(10 * time.Second), MaxConnections: 2}, log)
	if err != nil {
		return err
	}
	s.tracer = telemetry.New(t, client, s.cfg.Audit.Replica, func(err error) {
		s.stores.metrics.alarm("telemetry.traces")
		log.Warn("the collector takes no traces", zap.Error(err))
	})
	return nil
}

// nothing ends a step that nobody times.
func nothing() {}

// step times what the request does until the returned function is called, where
// it is traced. Steps lie within each other as the calls do.
func (x *exchange) step(name string) (end func()) {
	if x.detail != nil {
		return x.detail.step(name, x.traceStep(name))
	}
	return x.traceStep(name)
}

func (x *exchange) traceStep(name string) (end func()) {
	if x.trace == nil {
		return nothing
	}
	return x.trace.Step(name)
}

// traced ends the trace of the request.
func (x *exchange) traced(status int, code string) {
	if x.trace == nil {
		return
	}
	x.trace.End(telemetry.Outcome{Request: x.id, Method: x.r.Method, Interaction: x.record.Interaction, Type: x.record.Type, Status: status, Code: code})
}
