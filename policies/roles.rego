package gatehouse

# What the role table allows (roles.yaml).
permit contains row.reason if {
	some role in input.subject.roles
	some row in data.roles[role]
	input.action in row.actions
	covers(row.types, input.resource.type)
	serves(row)
	belongs(row)
	holds(row.when)
}

# covers: the list names the type, or a group that has it.
covers(types, type) if type in types

covers(types, type) if {
	some group in types
	type in data.type_groups[group]
}

# serves: the token names a purpose that the row wants, if it wants one.
serves(row) if not row.purposes

serves(row) if {
	some purpose in row.purposes
	purpose in input.subject.purpose
}

# belongs: the caller is of an organization that the row is for, if it is for some.
belongs(row) if not row.organizations

belongs(row) if input.subject.organization in row.organizations

holds("always")

holds("own_organization") if input.resource.organization == input.subject.organization

holds("own_patient") if input.subject.fhir_user in input.resource.practitioners

holds("care_relationship") if {
	some encounter in input.relation.encounters
	encounter.status == "in-progress"
	input.subject.fhir_user in encounter.participants
}

holds("care_relationship") if input.subject.fhir_user in input.relation.practitioners

holds("not_about_a_patient") if count(input.resource.patients) == 0

holds("current_encounter") if {
	some encounter in input.relation.encounters
	encounter.status == "in-progress"
	input.subject.fhir_user in encounter.participants
}

# own_ward: the patient lies where the caller's organization has its ward
# (wards.yaml).
holds("own_ward") if {
	some encounter in input.relation.encounters
	encounter.status == "in-progress"
	some ward in data.wards[input.subject.organization]
	ward in encounter.locations
}
