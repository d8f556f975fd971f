package main

type doctorCmd struct{}

func (doctorCmd) Run(c *call) error { return nil }
