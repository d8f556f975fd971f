package terminal

import (
	"encoding/json"
	"time"

	"google.golang.org/protobuf/types/known/timestamppb"

	terminalv1 "github.com/tillbook/tillbook/gen/tillbook/terminal/v1"
	"github.com/tillbook/tillbook/store"
	"github.com/tillbook/tillbook/store/id"
)

// device is how a terminal's device is stored.
type device struct {
	Model        string `json:"model,omitempty"`
	SerialNumber string `json:"serial_number,omitempty"`
	OS           string `json:"os,omitempty"`
	Version      string `json:"version,omitempty"`
}

func deviceRow(d *terminalv1.Device) ([]byte, error) {
	return json.Marshal(device{d.GetModel(), d.GetSerialNumber(), d.GetOs(), d.GetSoftwareVersion()})
}

func deviceMessage(row []byte) *terminalv1.Device {
	var d device
	if json.Unmarshal(row, &d) != nil {
		return nil // it was written by deviceRow
	}
	return &terminalv1.Device{Model: d.Model, SerialNumber: d.SerialNumber, Os: d.OS, SoftwareVersion: d.Version}
}

// terminalMessage shows a terminal to the staff. The states and attentions of the
// view are those of the API.
func terminalMessage(row *store.TerminalState) *terminalv1.Terminal {
	t := &terminalv1.Terminal{
		TerminalId:   id.Format(id.Terminal, row.ID),
		MerchantId:   id.Format(id.Merchant, row.MerchantID),
		StoreId:      id.Format(id.Store, row.StoreID),
		Name:         row.Name,
		State:        terminalv1.TerminalState(row.State),
		Attention:    terminalv1.TerminalAttention(row.Attention),
		CreateTime:   timestamppb.New(row.CreateTime),
		ActivateTime: timestampOf(value(row.ActivateTime)),
		RevokeTime:   timestampOf(value(row.RevokeTime)),
		LastSeenTime: timestampOf(value(row.LastSeenTime)),
	}
	if row.PublicKey != nil {
		t.Device = deviceMessage(row.Device)
	}
	if row.BatteryPercent != nil {
		t.Health = &terminalv1.Health{
			BatteryPercent: uint32(*row.BatteryPercent), Charging: value(row.Charging), Network: value(row.Network),
			SignalPercent: uint32(value(row.SignalPercent)), SoftwareVersion: value(row.Version),
		}
	}
	return t
}

func value[T any](p *T) (v T) {
	if p != nil {
		v = *p
	}
	return v
}

// timestampOf leaves a time unset that is zero.
func timestampOf(t time.Time) *timestamppb.Timestamp {
	if t.IsZero() {
		return nil
	}
	return timestamppb.New(t)
}
