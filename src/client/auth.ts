// Users, roles and permissions.
import type { Permission } from "../wire/generated/authpb.ts";
import {
  type AuthDisableResponse,
  type AuthEnableResponse,
  type AuthRoleAddResponse,
  type AuthRoleDeleteResponse,
  type AuthRoleGetResponse,
  type AuthRoleGrantPermissionResponse,
  type AuthRoleListResponse,
  type AuthRoleRevokePermissionResponse,
  type AuthStatusResponse,
  type AuthUserAddResponse,
  type AuthUserChangePasswordResponse,
  type AuthUserDeleteResponse,
  type AuthUserGetResponse,
  type AuthUserGrantRoleResponse,
  type AuthUserListResponse,
  type AuthUserRevokeRoleResponse,
  decodeAuthDisableResponse,
  decodeAuthEnableResponse,
  decodeAuthRoleAddResponse,
  decodeAuthRoleDeleteResponse,
  decodeAuthRoleGetResponse,
  decodeAuthRoleGrantPermissionResponse,
  decodeAuthRoleListResponse,
  decodeAuthRoleRevokePermissionResponse,
  decodeAuthStatusResponse,
  decodeAuthUserAddResponse,
  decodeAuthUserChangePasswordResponse,
  decodeAuthUserDeleteResponse,
  decodeAuthUserGetResponse,
  decodeAuthUserGrantRoleResponse,
  decodeAuthUserListResponse,
  decodeAuthUserRevokeRoleResponse,
  encodeAuthDisableRequest,
  encodeAuthEnableRequest,
  encodeAuthRoleAddRequest,
  encodeAuthRoleDeleteRequest,
  encodeAuthRoleGetRequest,
  encodeAuthRoleGrantPermissionRequest,
  encodeAuthRoleListRequest,
  encodeAuthRoleRevokePermissionRequest,
  encodeAuthStatusRequest,
  encodeAuthUserAddRequest,
  encodeAuthUserChangePasswordRequest,
  encodeAuthUserDeleteRequest,
  encodeAuthUserGetRequest,
  encodeAuthUserGrantRoleRequest,
  encodeAuthUserListRequest,
  encodeAuthUserRevokeRoleRequest,
} from "../wire/generated/etcdserverpb.ts";
import { type Bytes, toBytes } from "./keys.ts";
import type { CallOptions, Rpc } from "./rpc.ts";

const PATH = "/etcdserverpb.Auth/";

export class Auth {
  readonly #rpc: Rpc;

  constructor(rpc: Rpc) {
    this.#rpc = rpc;
  }

  async enable(options?: CallOptions): Promise<AuthEnableResponse> {
    const bytes = encodeAuthEnableRequest({});
    return await this.#rpc.unary(`${PATH}AuthEnable`, bytes, decodeAuthEnableResponse, "once", options);
  }

  async disable(options?: CallOptions): Promise<AuthDisableResponse> {
    const bytes = encodeAuthDisableRequest({});
    return await this.#rpc.unary(`${PATH}AuthDisable`, bytes, decodeAuthDisableResponse, "once", options);
  }

  async status(options?: CallOptions): Promise<AuthStatusResponse> {
    const bytes = encodeAuthStatusRequest({});
    return await this.#rpc.unary(`${PATH}AuthStatus`, bytes, decodeAuthStatusResponse, "once", options);
  }

  async userGet(name: string, options?: CallOptions): Promise<AuthUserGetResponse> {
    const bytes = encodeAuthUserGetRequest({ name });
    return await this.#rpc.unary(`${PATH}UserGet`, bytes, decodeAuthUserGetResponse, "repeatable", options);
  }

  async userList(options?: CallOptions): Promise<AuthUserListResponse> {
    const bytes = encodeAuthUserListRequest({});
    return await this.#rpc.unary(`${PATH}UserList`, bytes, decodeAuthUserListResponse, "repeatable", options);
  }

  async userDelete(name: string, options?: CallOptions): Promise<AuthUserDeleteResponse> {
    const bytes = encodeAuthUserDeleteRequest({ name });
    return await this.#rpc.unary(`${PATH}UserDelete`, bytes, decodeAuthUserDeleteResponse, "once", options);
  }

  async userChangePassword(
    name: string,
    password: string,
    options?: CallOptions,
  ): Promise<AuthUserChangePasswordResponse> {
    const bytes = encodeAuthUserChangePasswordRequest({ name, password, hashedPassword: "" });
    return await this.#rpc.unary(
      `${PATH}UserChangePassword`,
      bytes,
      decodeAuthUserChangePasswordResponse,
      "once",
      options,
    );
  }

  async userGrantRole(user: string, role: string, options?: CallOptions): Promise<AuthUserGrantRoleResponse> {
    const bytes = encodeAuthUserGrantRoleRequest({ user, role });
    return await this.#rpc.unary(
      `${PATH}UserGrantRole`,
      bytes,
      decodeAuthUserGrantRoleResponse,
      "once",
      options,
    );
  }

  async userRevokeRole(
    name: string,
    role: string,
    options?: CallOptions,
  ): Promise<AuthUserRevokeRoleResponse> {
    const bytes = encodeAuthUserRevokeRoleRequest({ name, role });
    return await this.#rpc.unary(
      `${PATH}UserRevokeRole`,
      bytes,
      decodeAuthUserRevokeRoleResponse,
      "once",
      options,
    );
  }

  async roleAdd(name: string, options?: CallOptions): Promise<AuthRoleAddResponse> {
    const bytes = encodeAuthRoleAddRequest({ name });
    return await this.#rpc.unary(`${PATH}RoleAdd`, bytes, decodeAuthRoleAddResponse, "once", options);
  }

  async roleGet(role: string, options?: CallOptions): Promise<AuthRoleGetResponse> {
    const bytes = encodeAuthRoleGetRequest({ role });
    return await this.#rpc.unary(`${PATH}RoleGet`, bytes, decodeAuthRoleGetResponse, "repeatable", options);
  }

  async roleList(options?: CallOptions): Promise<AuthRoleListResponse> {
    const bytes = encodeAuthRoleListRequest({});
    return await this.#rpc.unary(`${PATH}RoleList`, bytes, decodeAuthRoleListResponse, "repeatable", options);
  }

  async roleDelete(role: string, options?: CallOptions): Promise<AuthRoleDeleteResponse> {
    const bytes = encodeAuthRoleDeleteRequest({ role });
    return await this.#rpc.unary(`${PATH}RoleDelete`, bytes, decodeAuthRoleDeleteResponse, "once", options);
  }

  async roleRevokePermission(
    role: string,
    key: Bytes,
    rangeEnd: Bytes,
    options?: CallOptions,
  ): Promise<AuthRoleRevokePermissionResponse> {
    const bytes = encodeAuthRoleRevokePermissionRequest({
      role,
      key: toBytes(key),
      rangeEnd: toBytes(rangeEnd),
    });
    return await this.#rpc.unary(
      `${PATH}RoleRevokePermission`,
      bytes,
      decodeAuthRoleRevokePermissionResponse,
      "once",
      options,
    );
  }

  async userAdd(
    name: string,
    password: string,
    noPassword: boolean,
    options?: CallOptions,
  ): Promise<AuthUserAddResponse> {
    const bytes = encodeAuthUserAddRequest({ name, password, options: { noPassword }, hashedPassword: "" });
    return await this.#rpc.unary(`${PATH}UserAdd`, bytes, decodeAuthUserAddResponse, "once", options);
  }

  async roleGrantPermission(
    name: string,
    permission: Permission,
    options?: CallOptions,
  ): Promise<AuthRoleGrantPermissionResponse> {
    const bytes = encodeAuthRoleGrantPermissionRequest({ name, perm: permission });
    return await this.#rpc.unary(
      `${PATH}RoleGrantPermission`,
      bytes,
      decodeAuthRoleGrantPermissionResponse,
      "once",
      options,
    );
  }
}
