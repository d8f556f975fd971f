package main

import (
	"context"
	"errors"
	"strings"
	"time"

	tea "charm.land/bubbletea/v2"
)

// program runs the state on a screen: what happens goes in, what is to be done goes to
// the till.
type program struct {
	state State
	ask   func(Action)
}

// Init starts the clock.
func (p program) Init() tea.Cmd { return tick() }

func tick() tea.Cmd {
	return tea.Tick(time.Second, func(now time.Time) tea.Msg { return Tick{now} })
}

// Update takes in what happened.
func (p program) Update(msg tea.Msg) (tea.Model, tea.Cmd) {
	var happened any = msg
	var next tea.Cmd
	switch m := msg.(type) {
	case tea.WindowSizeMsg:
		happened = Resized{m.Width, m.Height}
	case tea.KeyPressMsg:
		happened = Key{Name: strings.ToLower(m.String()), Text: m.Text}
	case tea.PasteMsg:
		happened = Key{Text: m.Content}
	case Tick:
		next = tick()
	}
	var action Action
	p.state, action = p.state.On(happened)
	switch action.(type) {
	case nil:
	case Quit:
		return p, tea.Quit
	default:
		p.ask(action)
	}
	return p, next
}

// View draws.
func (p program) View() tea.View {
	v := tea.NewView(Screen(&p.state))
	v.AltScreen = true
	v.WindowTitle = "Tillbook counter"
	return v
}

// runCounter shows the counter until somebody quits it or ctx ends.
func runCounter(ctx context.Context, s settings, options ...tea.ProgramOption) error {
	var screen *tea.Program
	t, err := openTill(s, func(happened any) { screen.Send(happened) })
	if err != nil {
		return err
	}
	id, err := t.terminal.ID()
	if err != nil {
		return errors.Join(err, t.journal.Close(), t.terminal.Close())
	}
	first := State{Now: time.Now(), Asset: s.asset, Activated: id != ""}
	screen = tea.NewProgram(program{first, t.ask}, append(options, tea.WithContext(ctx))...)

	working, stop := context.WithCancel(ctx)
	ended := make(chan error, 1)
	go func() { ended <- t.run(working) }()
	_, err = screen.Run()
	stop()
	if errors.Is(err, tea.ErrProgramKilled) && ctx.Err() != nil {
		err = nil // somebody stopped it from outside
	}
	return errors.Join(err, <-ended)
}
