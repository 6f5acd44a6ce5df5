package gateway

import (
	"strings"

	"gatehouse/gateway/notify"

	"go.uber.org/zap"
)

// alert tells the channels what happened, patients by a keyed hash alone: who
// hears it and has the right finds the rest in the audit trail by the request.
func (x *exchange) alert(event string, channels, patients []string, review string) {
	x.tell(x.alertOf(event, patients, review), channels, nil)
}

func (x *exchange) alertOf(event string, patients []string, review string) notify.Alert {
	a := notify.Alert{Event: event, Time: x.start.UTC(), Gateway: x.s.publicURL, Request: x.id, Client: x.caller.subject.Client, Review: review}
	if user := x.caller.subject.FHIRUser; strings.HasPrefix(user, "Practitioner") { // staff, and no patient
		a.User = user
	}
	for _, p := range patients {
		a.Patient = append(a.Patient, x.s.patientHash(p))
	}
	return a
}

// tell sends an alert to channels; stored are its rows in the store, one for each,
// or none.
func (x *exchange) tell(a notify.Alert, channels, stored []string) {
	for i, name := range channels {
		x.g.metrics.alerts.WithLabelValues(a.Event).Inc()
		c, ok := x.s.cfg.Notify[name]
		if !ok { // of a policy; those of the configuration are checked
			x.g.metrics.alarm("notify.no-channel")
			x.g.log.Warn("policy notifies a channel that is not configured", zap.String("channel", name), zap.String("request", x.id))
			continue
		}
		var heard func()
		if i < len(stored) {
			heard = x.s.stores.told(stored[i])
		}
		x.g.notify.Send(name, c, a, heard)
	}
}

// patientHash stands for a patient outside: equal hashes are one patient, and
// nobody without the sealing key knows which.
func (s *snapshot) patientHash(patient string) string {
	return keyedHash(s.sealer.Derive("alert-patient", 32), patient)
}

// noticed collects what policy obliges to notify of, for when the request is
// over and recorded.
func (x *exchange) noticed(channels, patients []string) {
	for _, name := range channels {
		if x.notices == nil {
			x.notices = map[string]map[string]bool{}
		}
		if x.notices[name] == nil {
			x.notices[name] = map[string]bool{}
		}
		for _, p := range patients {
			if len(x.notices[name]) < alertPatients {
				x.notices[name][p] = true
			}
		}
	}
}

// alertPatients bounds the patients that one alert names.
const alertPatients = 100

// sendNotices sends what was collected, one alert for each channel.
func (x *exchange) sendNotices() {
	for name, patients := range x.notices {
		list := make([]string, 0, len(patients))
		for p := range patients {
			list = append(list, p)
		}
		x.alert("policy.notify", []string{name}, list, "")
	}
	x.notices = nil
}
