package gatehouse

# What an open emergency grant adds: one patient's records, for looking
# (emergency.yaml). Who may have one is in the configuration; what a rule forbids
# stays forbidden.
permit contains data.emergency.reason if {
	input.context.emergency.patient
	input.action in data.emergency.actions
	covers(data.emergency.types, input.resource.type)
	count(input.resource.patients) > 0
	every patient in input.resource.patients {
		patient == input.context.emergency.patient
	}
}

# A token that says it breaks the glass has not done so: who says so and has no
# grant for the patient sees nobody.
forbid contains data.emergency.unopened if {
	"BTG" in input.subject.purpose
	count(input.resource.patients) > 0
	not emergency_open
}

emergency_open if input.context.emergency.patient
