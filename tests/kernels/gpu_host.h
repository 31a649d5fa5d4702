// What the kernels of genome_eu/kernels/gpu.cu use of CUDA, for a host compiler: a launch runs
// every thread of the grid to its end, one after another. There is no shared memory, no barrier
// and no exchange within a warp; a kernel that used them would not compile.
#include <cstddef>

struct Dimensions {
    unsigned x, y, z;
};
static thread_local Dimensions blockIdx, threadIdx, blockDim, gridDim;

#define __global__
#define __device__

static inline int __popcll(unsigned long long bits) { return __builtin_popcountll(bits); }

static inline unsigned long long atomicAdd(unsigned long long *target, unsigned long long value) {
    const unsigned long long before = *target;
    *target += value;
    return before;
}

// A parameter as a number: twice its bytes, or twice the bytes pointed to and 1.
template <typename T>
struct Parameter {
    static constexpr int described = 2 * sizeof(T);
};
template <typename T>
struct Parameter<T *> {
    static constexpr int described = 2 * sizeof(T) + 1;
};
template <typename T>
struct Parameter<T *__restrict__> : Parameter<T *> {};

template <typename... Parameters>
int describe(void (*)(Parameters...), unsigned place) {
    static const int all[] = {Parameter<Parameters>::described..., 0};
    return place < sizeof...(Parameters) ? all[place] : 0;
}

template <typename First, typename... Rest>
struct Call {
    template <typename Kernel, typename... Bound>
    static void with(Kernel kernel, void **arguments, Bound... bound) {
        if constexpr (sizeof...(Rest) == 0)
            kernel(bound..., *(First *)arguments[0]);
        else
            Call<Rest...>::with(kernel, arguments + 1, bound..., *(First *)arguments[0]);
    }
};

template <typename... Parameters>
void run(void (*kernel)(Parameters...), const unsigned *grid, const unsigned *block,
         void **arguments) {
    gridDim = {grid[0], grid[1], grid[2]};
    blockDim = {block[0], block[1], block[2]};
    for (blockIdx.z = 0; blockIdx.z < gridDim.z; blockIdx.z++)
        for (blockIdx.y = 0; blockIdx.y < gridDim.y; blockIdx.y++)
            for (blockIdx.x = 0; blockIdx.x < gridDim.x; blockIdx.x++)
                for (threadIdx.z = 0; threadIdx.z < blockDim.z; threadIdx.z++)
                    for (threadIdx.y = 0; threadIdx.y < blockDim.y; threadIdx.y++)
                        for (threadIdx.x = 0; threadIdx.x < blockDim.x; threadIdx.x++)
                            Call<Parameters...>::with(kernel, arguments);
}

#define EXPORT(kernel)                                                                          \
    extern "C" int describe_##kernel(unsigned place) { return describe(kernel, place); }        \
    extern "C" void run_##kernel(const unsigned *grid, const unsigned *block, void **arguments) { \
        run(kernel, grid, block, arguments);                                                    \
    }
