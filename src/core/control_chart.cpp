#include "core/control_chart.h"

#include <initializer_list>

namespace spine {

namespace {

void write_state(uint8_t *state, uint8_t kind, uint8_t version, std::initializer_list<double> values) {
  StateWriter out(state);
  out.put(kind);
  out.put(version);
  for (double x : values) out.put(x);
}

bool read_state(Bytes state, uint8_t kind, uint8_t version, std::initializer_list<double *> values) {
  StateReader in(state);
  bool good = in.take<uint8_t>() == kind && in.take<uint8_t>() == version;
  for (double *x : values) {
    *x = in.take<double>();
    good = good && is_usable(*x);
  }
  return good && in.complete();
}

}  // namespace

void EwmaChart::write(uint8_t *state) const noexcept {
  write_state(state, state_kind, state_version, {target_, weight_, reach_, mean_});
}

bool EwmaChart::read(Bytes state) noexcept {
  return read_state(state, state_kind, state_version, {&target_, &weight_, &reach_, &mean_}) && weight_ > 0 &&
         weight_ <= 1 && reach_ >= 0;
}

void CusumChart::write(uint8_t *state) const noexcept {
  write_state(state, state_kind, state_version, {target_, slack_, limit_, high_, low_});
}

bool CusumChart::read(Bytes state) noexcept {
  return read_state(state, state_kind, state_version, {&target_, &slack_, &limit_, &high_, &low_}) && slack_ >= 0 &&
         limit_ >= 0 && high_ >= 0 && low_ >= 0;
}

}  // namespace spine
