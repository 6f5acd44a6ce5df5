package gatehouse

# Labels keep a record from those who are not cleared for them (sensitive.yaml).
forbid contains row.reason if {
	some label, row in data.sensitive
	not cleared(row)
	label in input.resource.labels
}

cleared(row) if {
	some role in row.roles
	role in input.subject.roles
	serves(row)
}

cleared(row) if {
	row.own
	about_the_caller
}

cleared(row) if {
	some label in row.own_with
	label in input.resource.labels
	about_the_caller
}

about_the_caller if {
	count(input.resource.patients) > 0
	input.subject.fhir_user == input.subject.patient
	every patient in input.resource.patients {
		patient == input.subject.patient
	}
}
