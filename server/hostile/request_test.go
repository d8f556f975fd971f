package hostile

import (
	"fmt"
	"math/rand/v2"
	"regexp"
	"strings"

	validate "buf.build/gen/go/bufbuild/protovalidate/protocolbuffers/go/buf/validate"
	"github.com/google/uuid"
	"google.golang.org/protobuf/proto"
	"google.golang.org/protobuf/reflect/protoreflect"
	"google.golang.org/protobuf/types/dynamicpb"
)

// filler makes requests from their descriptors: valid ones, in which every id is one
// that it is given.
type filler struct {
	// ids by prefix.
	ids map[string]string
	// bystander is whoever a person is named by other than by id.
	bystander string
	// foreign is set when an id was filled in.
	foreign bool
	// unknown are fields for which it has no value.
	unknown []string
	// rand makes what must be new each time, so that a seed makes it again; nil for
	// what nobody can make again.
	rand *rand.Rand
}

// unique returns 32 hexadecimal digits that were never there before.
func (f *filler) unique() string {
	if f.rand == nil {
		return strings.ReplaceAll(uuid.NewString(), "-", "")
	}
	return fmt.Sprintf("%016x%016x", f.rand.Uint64(), f.rand.Uint64())
}

var idPattern = regexp.MustCompile(`([a-z]{3})\|?[a-z|)]*_\[0-9a-z\]\{26\}`)

// texts are values of fields that have no id, by their name.
var texts = map[string]string{
	"amount": "0.01", "asset": "USD", "code": "123456", "country": "ID", "city": "Bandung", "name": "Toko", "time_zone": "Asia/Jakarta",
	"date": "2026-01-02", "password": password, "current_password": password, "new_password": "another horse battery",
	"activation_code": "0000000000", "reason": "a reason", "fee_plan": "standard", "account": "external/x/USD", "import_id": "i",
	"payment_code": "00000000000000000000", "refresh_token": "tbr_x", "version": "1", "category_code": "5812",
}

// fill sets what a request needs. Optional texts stay empty but for ids, so that
// every id that can be named is.
func (f *filler) fill(d protoreflect.MessageDescriptor) *dynamicpb.Message {
	m := dynamicpb.NewMessage(d)
	done := map[string]bool{}
	for i := range d.Fields().Len() {
		field := d.Fields().Get(i)
		if one := field.ContainingOneof(); one != nil && !one.IsSynthetic() {
			if done[string(one.Name())] {
				continue
			}
			done[string(one.Name())] = true
		}
		f.set(m, field)
	}
	return m
}

func rulesOf(field protoreflect.FieldDescriptor) *validate.FieldRules {
	rules, _ := proto.GetExtension(field.Options(), validate.E_Field).(*validate.FieldRules)
	return rules
}

func (f *filler) set(m *dynamicpb.Message, field protoreflect.FieldDescriptor) {
	rules := rulesOf(field)
	switch {
	case field.IsList():
		for range rules.GetRepeated().GetMinItems() {
			m.Mutable(field).List().Append(protoreflect.ValueOfMessage(f.fill(field.Message())))
		}
	case field.Kind() == protoreflect.MessageKind:
		f.setMessage(m, field, rules)
	case field.Kind() == protoreflect.StringKind:
		if text := f.text(field, rules.GetString()); text != "" {
			m.Set(field, protoreflect.ValueOfString(text))
		}
	case field.Kind() == protoreflect.BytesKind:
		m.Set(field, protoreflect.ValueOfBytes(make([]byte, rules.GetBytes().GetLen())))
	case field.Kind() == protoreflect.EnumKind:
		if in := rules.GetEnum().GetIn(); len(in) > 0 {
			m.Set(field, protoreflect.ValueOfEnum(protoreflect.EnumNumber(in[0])))
		} else if len(rules.GetEnum().GetNotIn()) > 0 {
			m.Set(field, protoreflect.ValueOfEnum(1))
		}
	case field.Kind() == protoreflect.Int64Kind && rules.GetInt64().GetGte() > 0:
		m.Set(field, protoreflect.ValueOfInt64(rules.GetInt64().GetGte()))
	case field.Kind() == protoreflect.BoolKind && rules.GetBool().GetConst():
		m.Set(field, protoreflect.ValueOfBool(true))
	}
}

func (f *filler) setMessage(m *dynamicpb.Message, field protoreflect.FieldDescriptor, rules *validate.FieldRules) {
	inOneof := field.ContainingOneof() != nil
	switch {
	case field.Message().FullName() == "tillbook.wallet.v1.Recipient":
		to := dynamicpb.NewMessage(field.Message())
		to.Set(field.Message().Fields().ByName("username"), protoreflect.ValueOfString(f.bystander))
		m.Set(field, protoreflect.ValueOfMessage(to))
	case field.Message().FullName() == "google.protobuf.Timestamp" && rules.GetRequired():
		m.Mutable(field).Message().Set(field.Message().Fields().ByName("seconds"), protoreflect.ValueOfInt64(1_760_000_000))
	case rules.GetRequired() || inOneof:
		m.Set(field, protoreflect.ValueOfMessage(f.fill(field.Message())))
	}
}

func (f *filler) text(field protoreflect.FieldDescriptor, rules *validate.StringRules) string {
	name := string(field.Name())
	if match := idPattern.FindStringSubmatch(rules.GetPattern()); match != nil {
		id, ok := f.ids[match[1]]
		if !ok {
			f.unknown = append(f.unknown, string(field.FullName()))
		}
		f.foreign = true
		return id
	}
	switch {
	case name == "idempotency_key":
		return f.unique()
	case name == "phone_number":
		return "+6281399999999"
	case name == "username":
		return "n" + f.unique()[:20]
	case name == "page_token", name == "resume_token", name == "note", name == "device_name", name == "device_token":
		return ""
	}
	if text, ok := texts[name]; ok {
		return text
	}
	if rules.GetMinLen() > 0 {
		f.unknown = append(f.unknown, string(field.FullName()))
	}
	return ""
}
