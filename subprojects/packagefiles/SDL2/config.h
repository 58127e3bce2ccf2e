/* config.h - read before every file of SDL2: its own settings for Windows without the parts that WasmOS does not use.
 * Windows are drawn through GDI from a surface; no 3D, no game controllers, no sensors. */
#include "SDL_config_windows.h"

#undef SDL_JOYSTICK_DINPUT
#undef SDL_JOYSTICK_HIDAPI
#undef SDL_JOYSTICK_RAWINPUT
#undef SDL_JOYSTICK_VIRTUAL
#undef SDL_JOYSTICK_WGI
#undef SDL_JOYSTICK_XINPUT
#undef SDL_HAPTIC_DINPUT
#undef SDL_HAPTIC_XINPUT
#undef SDL_SENSOR_WINDOWS
#undef HAVE_WINDOWS_GAMING_INPUT_H
#define SDL_JOYSTICK_DISABLED 1
#define SDL_HAPTIC_DISABLED 1
#define SDL_SENSOR_DISABLED 1
#define SDL_HIDAPI_DISABLED 1

#undef SDL_VIDEO_RENDER_D3D
#undef SDL_VIDEO_RENDER_D3D11
#undef SDL_VIDEO_RENDER_D3D12
#undef SDL_VIDEO_RENDER_OGL
#undef SDL_VIDEO_RENDER_OGL_ES2
#undef SDL_VIDEO_OPENGL
#undef SDL_VIDEO_OPENGL_WGL
#undef SDL_VIDEO_OPENGL_EGL
#undef SDL_VIDEO_OPENGL_ES2
#undef SDL_VIDEO_VULKAN

/* No other SDL2.dll in place of this one by an environment variable. */
#define SDL_dynapi_h_
#define SDL_DYNAMIC_API 0
