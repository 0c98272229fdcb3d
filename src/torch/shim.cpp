// What tch does not expose. Uses symbols of libtorch_cpu and libc10 alone: no CUDA headers, no CUDA link.
#include <ATen/ATen.h>
#include <ATen/Context.h>
#include <ATen/autocast_mode.h>
#include <c10/core/CachingDeviceAllocator.h>
#include <c10/core/GradMode.h>

#ifdef __linux__
#include <malloc.h>
#endif

#include <cstdint>
#include <string>
#include <vector>

static thread_local std::string last_error;

// Runs `body`; 0 where it succeeds, -1 with the message kept where it throws.
template <typename F>
static int guarded(F body) {
  try {
    body();
    return 0;
  } catch (const std::exception &error) {
    last_error = error.what();
    return -1;
  }
}

static c10::DeviceType device_type(int cuda) { return cuda ? at::kCUDA : at::kCPU; }

// True where both lay their elements out alike in memory; the stride of a dimension of size 1 says nothing.
static bool same_layout(const at::Tensor &a, const at::Tensor &b) {
  for (int64_t d = 0; d < a.dim(); d++)
    if (a.size(d) > 1 && a.stride(d) != b.stride(d)) return false;
  return true;
}

static void clip(std::vector<at::Tensor> &grads, double max_norm) {
  at::Tensor norm = at::linalg_vector_norm(at::stack(at::_foreach_norm(grads)));
  at::Tensor scale = at::clamp_max(max_norm / (norm + 1e-6), 1.0);
  at::_foreach_mul_(grads, scale);
}

extern "C" {

const char *systole_last_error() { return last_error.c_str(); }

at::Tensor *systole_channels_last(const at::Tensor *tensor) {
  at::Tensor *out = nullptr;
  guarded([&] { out = new at::Tensor(tensor->contiguous(at::MemoryFormat::ChannelsLast)); });
  return out;
}

int systole_is_channels_last(const at::Tensor *tensor) {
  return tensor->dim() == 4 && tensor->is_contiguous(at::MemoryFormat::ChannelsLast);
}

// sum += alpha * other, in place, with its gradient.
int systole_add_scaled(const at::Tensor *sum, const at::Tensor *other, double alpha) {
  return guarded([&] { sum->add_(*other, alpha); });
}

// out: enabled (0 or 1), dtype
int systole_autocast_get(int cuda, int *out) {
  return guarded([&] {
    out[0] = at::autocast::is_autocast_enabled(device_type(cuda));
    out[1] = static_cast<int>(at::autocast::get_autocast_dtype(device_type(cuda)));
  });
}

// dtype: a number of c10::ScalarType, 15 for bfloat16
int systole_autocast_set(int cuda, int enabled, int dtype) {
  return guarded([&] {
    at::autocast::set_autocast_dtype(device_type(cuda), static_cast<at::ScalarType>(dtype));
    at::autocast::set_autocast_enabled(device_type(cuda), enabled != 0);
  });
}

void systole_autocast_enter() { at::autocast::increment_nesting(); }

void systole_autocast_leave() {
  if (at::autocast::decrement_nesting() == 0) at::autocast::clear_cache();
}

int systole_deterministic(int on) {
  return guarded([&] {
    at::globalContext().setDeterministicAlgorithms(on != 0, false);
    at::globalContext().setDeterministicCuDNN(on != 0);
    // Nothing here reads memory that was never written; filling it costs a pass over every new tensor.
    at::globalContext().setDeterministicFillUninitializedMemory(false);
  });
}

int systole_allow_tf32(int on) {
  return guarded([&] {
    at::globalContext().setAllowTF32CuBLAS(on != 0);
    at::globalContext().setAllowTF32CuDNN(on != 0);
  });
}

// out: allocated now, allocated peak, reserved now, reserved peak, all in bytes
int systole_cuda_memory(int device, int64_t *out) {
  return guarded([&] {
    auto stats = at::getDeviceAllocator(at::kCUDA)->getDeviceStats(static_cast<c10::DeviceIndex>(device));
    out[0] = stats.allocated_bytes[0].current;
    out[1] = stats.allocated_bytes[0].peak;
    out[2] = stats.reserved_bytes[0].current;
    out[3] = stats.reserved_bytes[0].peak;
  });
}

// Gives free pages of the heap back to the system; the host's, so for every device.
void systole_trim() {
#ifdef __GLIBC__
  malloc_trim(0);
#endif
}

// out: free, total, in bytes
int systole_cuda_free(int device, int64_t *out) {
  return guarded([&] {
    auto [free, total] = at::getDeviceAllocator(at::kCUDA)->getMemoryInfo(static_cast<c10::DeviceIndex>(device));
    out[0] = static_cast<int64_t>(free);
    out[1] = static_cast<int64_t>(total);
  });
}

int systole_cuda_reset_peak(int device) {
  return guarded([&] { at::getDeviceAllocator(at::kCUDA)->resetPeakStats(static_cast<c10::DeviceIndex>(device)); });
}

int systole_clear_grads(at::Tensor *const *parameters, int64_t count) {
  return guarded([&] {
    for (int64_t i = 0; i < count; i++) parameters[i]->mutable_grad().reset();
  });
}

struct SystoleSgd {
  double learning_rate;
  double momentum;
  double weight_decay;
  double max_norm;  // 0: no clipping
  int nesterov;
};

// One step on those of `parameters` that have a gradient; clears every gradient. Never waits for the device.
int systole_sgd_step(at::Tensor *const *parameters, at::Tensor *const *buffers, int64_t count, const SystoleSgd *sgd) {
  return guarded([&] {
    c10::NoGradGuard no_grad;
    std::vector<at::Tensor> params, grads, moments;
    for (int64_t i = 0; i < count; i++) {
      at::Tensor grad = parameters[i]->grad();
      if (!grad.defined()) continue;
      const at::Tensor &param = *parameters[i];
      // The fused kernels walk raw memory: what is laid out otherwise would be paired with the wrong element.
      TORCH_CHECK(param.is_non_overlapping_and_dense() && same_layout(param, *buffers[i]), "sgd: parameter ", i,
                  " and its momentum must be dense and of equal layout");
      if (!same_layout(param, grad)) grad = at::empty_like(param).copy_(grad);
      params.push_back(param);
      grads.push_back(grad);
      moments.push_back(*buffers[i]);
    }
    if (!params.empty()) {
      if (sgd->max_norm > 0) clip(grads, sgd->max_norm);
      if (sgd->momentum == 0) moments.clear();
      at::_fused_sgd_(params, grads, moments, sgd->weight_decay, sgd->momentum, sgd->learning_rate, /*dampening=*/0.0,
                      sgd->nesterov != 0, /*maximize=*/false, /*is_first_step=*/false);
    }
    for (int64_t i = 0; i < count; i++) parameters[i]->mutable_grad().reset();
  });
}
}
