package gatehouse

# A patient's app sees what is about that patient and nobody else.
permit contains "You may see what is recorded about you." if {
	input.action in {"read", "search"}
	count(input.resource.patients) > 0
	every patient in input.resource.patients {
		patient == input.subject.patient
	}
}
