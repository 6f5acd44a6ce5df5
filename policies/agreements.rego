package gatehouse

# What a backend service may do by agreement (agreements.yaml).
permit contains row.reason if {
	some row in data.agreements[input.client.id]
	today <= row.until # first: what has expired is refused before anything is asked
	not input.subject.fhir_user
	not input.subject.patient
	input.action in row.actions
	covers(row.types, input.resource.type)
	serves(row)
}

today := substring(input.context.now, 0, 10)
